/**
 * TypeScript signatures -> JSON Schema (2020-12). One ts.Program for the entry file and all it imports; every call of `.endpoint()` and
 * `.function()` on an athanor `App` in project files is a site; its handler's signature becomes its input and output spec.
 */
export { analyze } from "./analyze.ts";
export type { AnalyzedHook, AnalyzedSite, Analysis, AnalyzeParams, SiteArgument } from "./analysis.ts";
