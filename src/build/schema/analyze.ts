import type { Analysis, AnalyzeParams } from "./analysis.ts";

/** Throws AthanorError naming file and line of every fault found: `build_failed`, `type_not_serialisable`, `name_invalid`, `name_collision`. */
export function analyze(_p: AnalyzeParams): Analysis {
  throw new Error("not implemented");
}
