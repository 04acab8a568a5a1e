import { AthanorError } from "../protocol/errors.ts";
import type { FunctionKind } from "../protocol/spec.ts";

/** Where the options of one function come from. */
export interface OptionSources {
  /** The function's wire name. */
  name: string;
  kind: FunctionKind;
  /** Of an endpoint, as given; null: `/<name>`. */
  path: string | null;
  /** Of a web server. */
  port: number | null;
  /** As given in code. */
  options: object;
  /** As given to `new App`. */
  app: object;
  /** The content of athanor.json; `{}` where there is none. */
  project: object;
}

export function invalid(sources: Pick<OptionSources, "kind" | "name">, what: string): AthanorError {
  return new AthanorError("option_invalid", `${sources.kind} ${sources.name}: ${what}`);
}
