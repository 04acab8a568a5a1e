import type { AppSpec } from "../protocol/spec.ts";

/** Validators of all functions of the app as CommonJS text that needs no module. Heavy: loads Ajv and esbuild. */
export async function compileValidators(_spec: AppSpec): Promise<string> {
  throw new Error("not implemented");
}
