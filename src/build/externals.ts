import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { packageDirOf, packageNameOf, readPackageJson } from "./packages.ts";

/**
 * Packages that cannot work from inside a bundle and do not show it in the files that a bundler sees. All others are recognised by
 * inspect() or listed in `external` of athanor.json.
 */
export const KNOWN_EXTERNALS: Record<string, string> = {
  sharp: "native addon in a package per platform",
  "better-sqlite3": "native addon",
  canvas: "native addon",
  "onnxruntime-node": "native addon, and libraries beside it",
  "tesseract.js": "worker file and WASM read from disk",
  "tesseract.js-core": "WASM read from disk",
  playwright: "browsers and drivers beside its files",
  "playwright-core": "browsers and drivers beside its files",
  puppeteer: "browsers beside its files",
  "puppeteer-core": "browsers beside its files",
  "@prisma/client": "generated code and engine beside its files",
  jsdom: "worker file read from disk",
  esbuild: "executable in a package per platform",
  typescript: "declaration files read from disk",
};

const PLATFORM_PACKAGE =
  /(?:^|[-/])(?:linux|linuxmusl|darwin|win32|android|freebsd)[-_](?:x64|arm64|arm|ia32|riscv64|s390x|ppc64|ppc64le)/;

/** Why a package that was bundled cannot stay in the bundle, or null. `files` are those of its files that are in the bundle. */
export function inspect(dir: string, files: string[]): string | null {
  const manifest = readPackageJson(dir);
  if (manifest.gypfile === true || existsSync(path.join(dir, "binding.gyp"))) return "native addon";
  if (existsSync(path.join(dir, "prebuilds"))) return "prebuilt native addon";
  if (manifest.binary !== undefined && manifest.binary !== null) return "native addon that is downloaded";
  if (Object.keys(manifest.optionalDependencies ?? {}).some((name) => PLATFORM_PACKAGE.test(name))) {
    return "native code in a package per platform";
  }
  if (existsSync(path.join(dir, "package.json")) && readdirSync(dir).some((name) => name.endsWith(".node")))
    return "native addon";
  for (const file of files) {
    const reason = inspectText(readText(file));
    if (reason !== null) return `${reason} (${path.relative(dir, file)})`;
  }
  return null;
}

/** Signs in a package's code that it reads files which a bundle leaves behind. */
const SIGNS: [RegExp, string][] = [
  [/\b__(?:dirname|filename)\b/, "finds files by the folder of its own code"],
  [
    /\bimport\.meta\.(?:dirname|filename|resolve)\b|\bnew URL\([^)\n]*import\.meta\.url/,
    "finds files by the place of its own code",
  ],
  [/\brequire\.resolve\(/, "finds files of packages on disk"],
  [/\bnew Worker\(\s*(?!["'`]data:)/, "starts a worker from a file"],
  [/\bprocess\.dlopen\(|\brequire\([^)\n]*\.node["'`]\)/, "loads a native addon"],
];

function inspectText(text: string): string | null {
  const found = SIGNS.find(([sign]) => sign.test(text));
  // The second look, without comments, is only for the few files that have a sign at all.
  return found?.[0].test(withoutComments(text)) ? found[1] : null;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

export interface Wanted {
  name: string;
  fromDir: string;
}

const RESOLVED = /\b(?:import\.meta\.resolve|require\.resolve)\(\s*(["'`])([^"'`\n]+)\1/g;
const REQUIRED = /\brequire\(\s*(["'`])([^"'`\n]+)\1\s*\)/g;

/** Packages that a file of the project looks up by itself, past the bundler: they must be installed where the bundle runs. */
export function packagesLookedUp(file: string): Wanted[] {
  const text = readText(file);
  const patterns = /\bcreateRequire\b/.test(text) ? [RESOLVED, REQUIRED] : [RESOLVED];
  if (!patterns.some((pattern) => text.match(pattern))) return [];
  const specifiers = patterns.flatMap((pattern) =>
    [...withoutComments(text).matchAll(pattern)].map((match) => match[2] ?? ""),
  );
  const names = new Set(specifiers.map(packageNameOf).filter((name) => name !== null));
  names.delete("athanor");
  return [...names].map((name) => ({ name, fromDir: path.dirname(file) }));
}

/** The bundle's files by the folder of the package that they belong to; files of the project under null. */
export function byPackage(files: string[]): Map<string | null, string[]> {
  const found = new Map<string | null, string[]>();
  for (const file of files) {
    const dir = packageDirOf(file);
    const same = found.get(dir);
    if (same) same.push(file);
    else found.set(dir, [file]);
  }
  return found;
}
