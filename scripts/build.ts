/**
 * Builds `dist`: bundles of the CLI with the server, of the SDK with the client, and of the replica's runtime, the type
 * declarations, and the files that the code reads at run time.
 *
 *   node scripts/build.ts [--if-changed]
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, glob, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import packageJson from "../package.json" with { type: "json" };

const ROOT = path.dirname(import.meta.dirname);
const DIST = path.join(ROOT, "dist");
const STAMP = ".sources-hash";

/** Whatever decides what the build gives. */
const SOURCES = ["src/**/*", "scripts/build.ts", "package.json", "package-lock.json", "tsconfig*.json"];

/** The viewer behind /<app>/docs, served by the server itself: its pages fetch nothing from elsewhere. */
const DOCS_VIEWER = [
  "swagger-ui-bundle.js",
  "swagger-ui-bundle.js.LICENSE.txt",
  "swagger-ui.css",
  "favicon-32x32.png",
  "LICENSE",
];

const sourcesHash = await hashSources();
if (!process.argv.includes("--if-changed") || (await builtHash()) !== sourcesHash) {
  const startedAt = performance.now();
  try {
    await build();
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
  console.error(`Built dist in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

async function build(): Promise<void> {
  // Beside the old one and then in its place, so that a failed build leaves what worked, and nobody sees half of one.
  const out = path.join(ROOT, `dist.${process.pid}.tmp`);
  try {
    await mkdir(out);
    const parts = await Promise.allSettled([bundle(out), declareTypes(out), copyFiles(out)]);
    for (const part of parts) if (part.status === "rejected") throw part.reason;
    await writeFile(path.join(out, STAMP), sourcesHash);
    await rm(DIST, { recursive: true, force: true });
    await rename(out, DIST);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

async function bundle(out: string): Promise<void> {
  const common: esbuild.BuildOptions = {
    absWorkingDir: ROOT,
    outdir: out,
    bundle: true,
    format: "esm",
    target: "node24",
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "linked",
    logLevel: "silent",
    metafile: true,
    external: Object.keys(packageJson.dependencies),
  };
  // Bundled CommonJS packages ask for Node's own modules through `require`, which an ES module lacks.
  const node: esbuild.BuildOptions = {
    ...common,
    platform: "node",
    banner: {
      js: 'import { createRequire as __athanorCreateRequire } from "node:module"; const require = __athanorCreateRequire(import.meta.url);',
    },
  };
  const results = await Promise.all([
    // Split, so that a command loads what it needs: the compiler only to deploy, the server only to be one.
    esbuild.build({
      ...node,
      entryPoints: {
        cli: "src/cli/main.ts",
        "compile-worker": "src/server/deployments/compile-worker.ts",
        serve: "src/serve/index.ts",
        testing: "src/testing/index.ts",
      },
      splitting: true,
      chunkNames: "node-[hash]",
    }),
    // Every replica loads the runtime before it can do anything. Split, so that it holds what all replicas need: what a kind of
    // service needs is loaded with the first of that kind.
    esbuild.build({
      ...node,
      entryPoints: { runtime: "src/runtime/main.ts" },
      splitting: true,
      chunkNames: "runtime-[hash]",
      minifySyntax: true,
      minifyWhitespace: true,
    }),
    // The build imports each bundle in a process of this program.
    esbuild.build({
      ...node,
      entryPoints: { "manifest-child": "src/build/manifest-child.ts" },
      minifySyntax: true,
      minifyWhitespace: true,
    }),
    // Runs in browsers, Deno and Bun too: an import of a Node module fails the build. Both share one copy of each class.
    esbuild.build({
      ...common,
      entryPoints: { index: "src/index.ts", client: "src/sdk/client/index.ts" },
      splitting: true,
      chunkNames: "sdk-[hash]",
      platform: "neutral",
      mainFields: ["module", "main"],
      target: "es2024",
    }),
  ]);
  await writeLicences(
    out,
    results.flatMap(({ metafile }) => Object.keys(metafile?.inputs ?? {})),
  );
}

/** The licence of each package that the bundles hold asks to go along with it. */
async function writeLicences(out: string, inputs: string[]): Promise<void> {
  const packages = new Set(
    inputs.map((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]).filter((at) => at !== undefined),
  );
  const texts: string[] = [];
  for (const folder of [...packages].toSorted()) {
    const { name, version, license } = JSON.parse(await readFile(path.join(ROOT, folder, "package.json"), "utf8"));
    const file = (await readdir(path.join(ROOT, folder))).find((name) => /^licen[cs]e/i.test(name));
    const text = file === undefined ? "" : await readFile(path.join(ROOT, folder, file), "utf8");
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  await writeFile(path.join(out, "THIRD-PARTY-LICENSES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));
}

async function declareTypes(out: string): Promise<void> {
  const tsc = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const types = path.join(out, "types");
  try {
    await promisify(execFile)(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", types], { cwd: ROOT });
  } catch (error) {
    throw new Error(`tsc could not write the type declarations:\n${(error as { stdout?: string }).stdout ?? error}`);
  }
}

async function copyFiles(out: string): Promise<void> {
  const viewer = path.join(ROOT, "node_modules", "swagger-ui-dist");
  for (const file of DOCS_VIEWER) await cp(path.join(viewer, file), path.join(out, "docs-viewer", file));
  // What runs apps in Python; the runtime looks for it beside itself.
  for await (const file of glob("src/runtime/services/python/*.py", { cwd: ROOT })) {
    await cp(path.join(ROOT, file), path.join(out, "python", path.basename(file)));
  }
  // The store reads its SQL relative to its own module, which in `dist` is a file of the top folder.
  for await (const file of glob("src/server/store/**/*.sql", { cwd: ROOT })) {
    await cp(path.join(ROOT, file), path.join(out, path.relative("src/server/store", file)));
  }
}

async function hashSources(): Promise<string> {
  const hash = createHash("sha256");
  const files = (await Array.fromAsync(glob(SOURCES, { cwd: ROOT, withFileTypes: true })))
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted();
  for (const file of files) {
    hash.update(`${path.relative(ROOT, file)}\0`);
    hash.update(await readFile(file));
  }
  return hash.digest("hex");
}

async function builtHash(): Promise<string | null> {
  try {
    return await readFile(path.join(DIST, STAMP), "utf8");
  } catch {
    return null;
  }
}
