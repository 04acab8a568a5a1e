import path from "node:path";
import type { Plugin } from "esbuild";
import { byPackage, inspect, KNOWN_EXTERNALS, packagesLookedUp } from "./externals.ts";
import { findPackage, type InstalledPackage, packageNameOf, readPackageJson } from "./packages.ts";

/** Packages that a bundle needs beside it, by name. */
export type Found = Map<string, InstalledPackage>;

/** What stays out of the bundle. */
export class Externals {
  readonly #names: Set<string>;
  /** Files of packages that may be in it. */
  readonly #inspected = new Set<string>();

  constructor(listed: string[]) {
    this.#names = new Set([...listed, ...Object.keys(KNOWN_EXTERNALS)]);
  }

  get names(): string[] {
    return [...this.#names].sort();
  }

  /** True where one of them is new. */
  addAll(names: string[]): boolean {
    const before = this.#names.size;
    for (const name of names) this.#names.add(name);
    return this.#names.size > before;
  }

  /** Adds what the files of a finished bundle call for. True where a package that is in the bundle must leave it. */
  addFrom(files: string[]): boolean {
    const leaving: string[] = [];
    for (const [dir, own] of byPackage(files))
      if (dir !== null && this.#mustLeave(dir, own)) leaving.push(readPackageJson(dir).name ?? path.basename(dir));
    return this.addAll(leaving);
  }

  #mustLeave(dir: string, files: string[]): boolean {
    if (files.every((file) => this.#inspected.has(file))) return false;
    if (inspect(dir, files) !== null) return true;
    for (const file of files) this.#inspected.add(file);
    return false;
  }

  /** `found` holds, after each build, what it has left out. */
  plugin(found: Found): Plugin {
    return {
      name: "athanor-externals",
      setup: (build) => {
        build.onStart(() => found.clear());
        build.onResolve({ filter: /^[^./#]/ }, (args) => {
          const name = packageNameOf(args.path);
          if (name === null || !this.#names.has(name) || args.kind === "entry-point") return null;
          const installed = findPackage(name, args.resolveDir);
          if (installed === null) return null;
          // Importers may see different versions; the one nearest the project's root, which is met first, holds.
          if (!found.has(name)) found.set(name, installed);
          return { path: args.path, external: true };
        });
      },
    };
  }
}

/** What the project's own files look up by themselves. */
export function lookedUp(files: string[]): Found {
  const found: Found = new Map();
  const own = byPackage(files).get(null) ?? [];
  for (const { name, fromDir } of own.flatMap(packagesLookedUp)) {
    const installed = findPackage(name, fromDir);
    if (installed !== null) found.set(name, installed);
  }
  return found;
}
