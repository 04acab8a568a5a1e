/**
 * TypeScript signatures -> JSON Schema (2020-12). One ts.Program for the entry file and all it imports; every call of `.endpoint()` and
 * `.function()` on an athanor `App` in project files is a site; its handler's signature becomes its input and output spec.
 */

export type { Analysis, AnalyzedHook, AnalyzedSite } from "./analysis.ts";
export { analyze } from "./analyze.ts";
