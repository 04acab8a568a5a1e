import { existsSync, statSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { AthanorError } from "../../protocol/errors.ts";
import type { AnalyzeParams } from "./analysis.ts";
import { findUp, isOwnFile, OWN_ROOT, resolveOwn } from "./own.ts";

export interface Project {
  /** Absolute. */
  root: string;
  program: ts.Program;
  /** The project's own source files that the entry reaches: neither packages nor declarations nor athanor itself. */
  files: ts.SourceFile[];
  /** All of the project's files that were read: sources, declarations, JSON, tsconfig.json (and what it extends), package.json. */
  watched: string[];
  /** What was read of package.json files. */
  packageJsons: ts.PackageJsonInfoCache;
}

/**
 * One program for the entry file and all it imports. Reads only; nothing is emitted. What has not changed since `previous`, the same entry's
 * with the same packages installed, is taken over from it.
 */
export function openProject(p: AnalyzeParams, previous?: Project): Project {
  const entry = path.resolve(p.entry);
  if (!existsSync(entry)) throw new AthanorError("build_failed", `there is no entry file ${p.entry}`);
  if (statSync(entry).isDirectory()) {
    throw new AthanorError("build_failed", `the entry ${p.entry} is a folder`, {
      hint: "Name the file in it that makes the App.",
    });
  }
  const packageJson = findUp(path.dirname(entry), "package.json");
  const root = p.root === undefined ? projectRoot(entry) : path.resolve(p.root);
  const tsconfig = p.tsconfig === undefined ? findUp(path.dirname(entry), "tsconfig.json") : path.resolve(p.tsconfig);
  const config = readConfig(tsconfig, path.dirname(entry));
  const host = createHost(config.options);
  const resolutions = resolveModules(host, config.options, previous?.packageJsons);
  const program = ts.createProgram({
    rootNames: [entry, ...config.ambientFiles],
    options: config.options,
    host,
    ...(previous === undefined ? {} : { oldProgram: previous.program }),
  });
  const files = program.getSourceFiles().filter((file) => isProjectFile(program, file));
  const own = program.getSourceFiles().filter((file) => isInProject(program, file));
  const watched = [
    ...own.map((file) => file.fileName),
    ...config.files,
    ...(packageJson === null ? [] : [packageJson]),
  ];
  return { root, program, files, watched, packageJsons: resolutions.getPackageJsonInfoCache() };
}

/** The folder of the nearest package.json at or above the file, else its own. */
export function projectRoot(file: string): string {
  return path.dirname(findUp(path.dirname(file), "package.json") ?? file);
}

interface Config {
  options: ts.CompilerOptions;
  /** Declaration files that the tsconfig includes: their globals hold although nothing imports them. */
  ambientFiles: string[];
  files: string[];
}

function readConfig(tsconfig: string | null, folder: string): Config {
  if (tsconfig === null) return { options: defaultOptions(folder), ambientFiles: [], files: [] };
  const source = ts.readJsonConfigFile(tsconfig, ts.sys.readFile);
  const parsed = ts.parseJsonSourceFileConfigFileContent(source, ts.sys, path.dirname(tsconfig), undefined, tsconfig);
  const errors = parsed.errors.filter((e) => !NO_INPUTS.has(e.code));
  if (errors[0] !== undefined) {
    const text = ts.flattenDiagnosticMessageText(errors[0].messageText, " ");
    throw new AthanorError("build_failed", `${path.basename(tsconfig)} cannot be read: ${text}`);
  }
  const options = { ...parsed.options, ...FORCED };
  const nodeTypes = nodeTypesAt(folder);
  if (options.types === undefined && nodeTypes !== null)
    Object.assign(options, { types: ["node"], typeRoots: [nodeTypes] });
  if (options.module === undefined) {
    options.module = ts.ModuleKind.Preserve;
    options.moduleResolution ??= ts.ModuleResolutionKind.Bundler;
  }
  return {
    options,
    ambientFiles: parsed.fileNames.filter((name) => /\.d\.[cm]?ts$/.test(name)),
    files: [tsconfig, ...(source.extendedSourceFiles ?? [])],
  };
}

/** "No inputs were found" and its like: the entry is the input, whatever the tsconfig includes. */
const NO_INPUTS = new Set([18002, 18003]);

/** Held whatever the tsconfig says: `null` and `undefined` are part of the schema, decorators are the standard ones, and lint is not ours. */
const FORCED: ts.CompilerOptions = {
  noEmit: true,
  allowImportingTsExtensions: true,
  allowJs: true,
  skipLibCheck: true,
  skipDefaultLibCheck: true,
  strictNullChecks: true,
  experimentalDecorators: false,
  emitDecoratorMetadata: false,
  erasableSyntaxOnly: false,
  isolatedDeclarations: false,
  noUnusedLocals: false,
  noUnusedParameters: false,
  composite: false,
  incremental: false,
  declaration: false,
  declarationMap: false,
  sourceMap: false,
  inlineSourceMap: false,
};

function defaultOptions(folder: string): ts.CompilerOptions {
  const nodeTypes = nodeTypesAt(folder);
  return {
    ...FORCED,
    strict: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    resolveJsonModule: true,
    // The DOM's declarations are the largest of all; they are read only where nothing else declares Request and Response.
    lib: nodeTypes === null ? ["lib.esnext.d.ts", "lib.dom.d.ts"] : ["lib.esnext.d.ts"],
    ...(nodeTypes === null ? { types: [] } : { types: ["node"], typeRoots: [nodeTypes] }),
  };
}

/** The `node_modules/@types` that has Node's types: the project's, else the one beside athanor. */
function nodeTypesAt(folder: string): string | null {
  const name = path.join("node_modules", "@types", "node", "package.json");
  const found = findUp(folder, name) ?? findUp(OWN_ROOT, name);
  return found === null ? null : path.dirname(path.dirname(found));
}

function createHost(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  // Comments are read where they are needed (jsdoc.ts); only JavaScript's types must be parsed out of them.
  host.jsDocParsingMode = ts.JSDocParsingMode.ParseForTypeInfo;
  cacheFiles(host, options);
  return host;
}

function resolveModules(
  host: ts.CompilerHost,
  options: ts.CompilerOptions,
  packageJsons: ts.PackageJsonInfoCache | undefined,
): ts.ModuleResolutionCache {
  const { getCanonicalFileName } = host;
  const cache = ts.createModuleResolutionCache(host.getCurrentDirectory(), getCanonicalFileName, options, packageJsons);
  // Without it each file's package.json would be read again, to know whether the file is a module.
  host.getModuleResolutionCache = () => cache;
  host.resolveModuleNameLiterals = (literals, containingFile, redirected, _options, sourceFile) =>
    literals.map((literal) => {
      const mode = ts.getModeForUsageLocation(sourceFile, literal, options);
      const resolve = () => ts.resolveModuleName(literal.text, containingFile, options, host, cache, redirected, mode);
      return resolveOwn(literal.text, resolve);
    });
  // What a project file imports may have come or gone with another file; resolving it again costs little.
  host.hasInvalidatedResolutions = (file) => !file.includes("/node_modules/");
  return cache;
}

interface Cached {
  file: ts.SourceFile;
  modified: number;
}

const parsedFiles = new Map<string, Cached>();

/** Keeps parsed files from one program to the next: `dev` builds on every save. */
function cacheFiles(host: ts.CompilerHost, options: ts.CompilerOptions): void {
  const read = host.getSourceFile.bind(host);
  const optionsKey = JSON.stringify(options);
  host.getSourceFile = (fileName, versionOrOptions, onError, fresh) => {
    const format = typeof versionOrOptions === "object" ? versionOrOptions.impliedNodeFormat : undefined;
    const key = `${fileName}\0${format}\0${optionsKey}`;
    const modified = ts.sys.getModifiedTime?.(fileName)?.getTime() ?? 0;
    const cached = parsedFiles.get(key);
    if (cached !== undefined && isCurrent(cached, fileName, modified)) return cached.file;
    const file = read(fileName, versionOrOptions, onError, fresh);
    if (file === undefined) parsedFiles.delete(key);
    else parsedFiles.set(key, { file, modified });
    return file;
  };
}

/** A file of the project may be saved twice within the same time, and so its text decides. */
function isCurrent({ file, modified }: Cached, fileName: string, modifiedNow: number): boolean {
  return fileName.includes("/node_modules/") ? modified === modifiedNow : ts.sys.readFile(fileName) === file.text;
}

function isProjectFile(program: ts.Program, file: ts.SourceFile): boolean {
  return isInProject(program, file) && !file.isDeclarationFile && !file.fileName.endsWith(".json");
}

function isInProject(program: ts.Program, file: ts.SourceFile): boolean {
  if (program.isSourceFileFromExternalLibrary(file) || program.isSourceFileDefaultLibrary(file)) return false;
  return !file.fileName.includes("/node_modules/") && !isOwnFile(file.fileName);
}
