import type { Sharp } from "sharp";
import { nodeModule } from "./node.ts";
import { runtimeGlobal } from "./registry.ts";

type MakeSharp = (input: Uint8Array) => Sharp;

const PACKAGE = "sharp";

let loaded: MakeSharp | undefined;

/** The project's own sharp where it has one, else Athanor's. It is a native addon, so it is loaded only when first used. */
export function requireSharp(): MakeSharp {
  loaded ??= load();
  return loaded;
}

function load(): MakeSharp {
  const runtime = runtimeGlobal();
  if (runtime) return runtime.require(PACKAGE) as MakeSharp;
  const { createRequire } = nodeModule("node:module");
  const errors: unknown[] = [];
  for (const from of [`${process.cwd()}/package.json`, import.meta.url]) {
    try {
      return createRequire(from)(PACKAGE) as MakeSharp;
    } catch (error) {
      errors.push(error);
    }
  }
  throw new AggregateError(errors, "ImageFile.sharp() needs the package sharp, which could not be loaded: npm i sharp");
}
