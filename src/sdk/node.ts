/**
 * Node's own modules, loaded without an import, so that this package's client bundles for a browser. Deno and Bun have the same call.
 */
interface NodeModules {
  "node:http": typeof import("node:http");
  "node:https": typeof import("node:https");
  "node:fs": typeof import("node:fs");
  "node:fs/promises": typeof import("node:fs/promises");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:path": typeof import("node:path");
  "node:url": typeof import("node:url");
  "node:child_process": typeof import("node:child_process");
}

interface ProcessLike {
  getBuiltinModule?(name: string): unknown;
  env?: Record<string, string | undefined>;
}

const host = (globalThis as { process?: ProcessLike }).process;

export function hasNode(): boolean {
  return typeof host?.getBuiltinModule === "function";
}

/** @throws Error where there is no such module, as in a browser. */
export function nodeModule<N extends keyof NodeModules>(name: N): NodeModules[N] {
  const found = host?.getBuiltinModule?.(name);
  if (found === undefined) throw new Error(`this needs ${name}, which is not available here`);
  return found as NodeModules[N];
}

/** An environment variable; undefined where it is unset or empty, or there is no environment. */
export function environment(name: string): string | undefined {
  return host?.env?.[name] || undefined;
}
