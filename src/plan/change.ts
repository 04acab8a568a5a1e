import type { Json } from "../protocol/json.ts";

/** What a change is a change of. */
export type PlanArea =
  | "app"
  | "function"
  | "route"
  | "input"
  | "output"
  | "option"
  | "schedule"
  | "dependency"
  | "code";

/** One thing that a deploy would change. */
export interface PlanChange {
  area: PlanArea;
  change: "added" | "removed" | "changed";
  /** The function's wire name; null: it is of the whole app. */
  function: string | null;
  /** Of what: a path, a parameter, an option, a package; empty where the area says it. */
  of: string;
  /** Callers that work today may fail, or misread what they get. */
  breaking: boolean;
  /** In words. */
  text: string;
  /** As it is live, and as it would be, where these are short enough to be shown. */
  before?: Json;
  after?: Json;
}

export interface Plan {
  changes: PlanChange[];
  /** How many of them are breaking. */
  breaking: number;
}
