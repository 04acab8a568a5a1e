import type { JsonSchema } from "../../protocol/json.ts";
import type { FunctionKind, InputSpec, OutputSpec } from "../../protocol/spec.ts";

export interface AnalyzeParams {
  /** The entry file, absolute or relative to the working folder. */
  entry: string;
  /** Default: the nearest tsconfig.json at or above the entry's folder; without one, strict defaults. */
  tsconfig?: string | undefined;
  /** Default: the folder of the nearest package.json at or above the entry, else the entry's own. Files are named relative to it. */
  root?: string | undefined;
}

export interface Analysis {
  /** Absolute. */
  root: string;
  /** In order of file, then position. */
  sites: AnalyzedSite[];
  /** The `@app.enter()` and `@app.exit()` decorators, which take a site argument too: it tells them their class. */
  hooks: AnalyzedHook[];
  /** What `#/$defs/Name` in the sites' schemas points to, sorted by name. */
  $defs: { [name: string]: JsonSchema };
  /** Absolute paths of the project's own files that were read: sources, JSON, tsconfig (and what it extends), package.json. What to watch. */
  programFiles: string[];
}

export interface AnalyzedHook {
  /** Absolute. */
  path: string;
  line: number;
  siteArgument: SiteArgument;
  kind: "enter" | "exit";
  /** The method's. */
  codeName: string;
  className: string;
}

/** Where the site argument goes, inside the call's parentheses, after the last argument: insert `prefix + argument`. */
export interface SiteArgument {
  offset: number;
  prefix: "" | ", ";
}

/** One call of `.endpoint()`, `.function()`, `.fetch()` or another that declares, plain or as a decorator. Offsets are in UTF-16 units of the file's text without its BOM. */
export interface AnalyzedSite {
  /** Relative to the root, with forward slashes. */
  file: string;
  /** Absolute. */
  path: string;
  /** 1-based line of the call. */
  line: number;
  siteArgument: SiteArgument;
  /** The call's first character and just after its last, where it is a decorator. esbuild takes `@app.function()` only in parentheses. */
  decorator: { start: number; end: number } | null;
  /** The wire name, `swap-face`. */
  name: string;
  codeName: string;
  /** The class whose method is decorated. */
  className: string | null;
  /** Just after the class's `{`: where a `static {}` block goes. Null for a plain call. */
  classBodyStart: number | null;
  kind: FunctionKind;
  /** Of a service, which no schema describes: it takes the request as it is, and answers with what it likes. */
  input: InputSpec;
  output: OutputSpec;
  description: string | null;
  deprecated: boolean;
  /** The options have `input` or `output`, whose schemas are runtime values. */
  hasStandardSchema: boolean;
  /** The options have `batch`: the schemas are of one job's elements. */
  batch: boolean;
}
