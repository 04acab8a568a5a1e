import type { ErrorCode } from "../protocol/errors.ts";
import type { JsonSchema } from "../protocol/json.ts";
import type { FunctionKind } from "../protocol/spec.ts";
import type { Site } from "../sdk/registry.ts";
import type { ResolvedOptions } from "../sdk/resolve-options.ts";

/** What the child that imports the bundle is told. */
export interface ChildRequest {
  bundlePath: string;
  bundleUrl: string;
  /** Where compiled code is kept from one import to the next; null: it is not. */
  compileCacheDir: string | null;
  /** Where the project's own packages are resolved from. */
  projectDir: string;
  /** athanor.json without what only the build reads. */
  project: object;
}

export type ChildAnswer =
  | { type: "app"; name: string; compute: "dedicated" | "serverless"; functions: ChildFunction[] }
  /** Not exactly one app. */
  | { type: "apps"; names: string[] }
  /** The SDK refused something; `stack` where it was while the bundle was imported. */
  | { type: "refused"; code: ErrorCode; detail: string; hint: string; stack?: string | undefined }
  | { type: "threw"; message: string; stack: string };

export interface ChildFunction {
  site: Site | null;
  kind: FunctionKind;
  /** Null where `refused` says what is wrong with the options. */
  resolved: ResolvedOptions | null;
  refused: { code: ErrorCode; detail: string } | null;
  /** Of an explicit Standard Schema; null: there is none. */
  input: StandardJsonSchema | null;
  output: StandardJsonSchema | null;
}

export interface StandardJsonSchema {
  /** Null: the library cannot express it as JSON Schema. */
  schema: JsonSchema | null;
}
