import type { History, Violation } from "./history.ts";
import { acknowledged } from "./rules/acknowledged.ts";
import { ends } from "./rules/ends.ts";
import { leftovers } from "./rules/leftovers.ts";
import { limits } from "./rules/limits.ts";
import { logs } from "./rules/logs.ts";
import { order, pauses } from "./rules/order.ts";
import { streams } from "./rules/streams.ts";

/** Everything in the history that the promises of docs/guarantees.md do not allow; empty where all hold. */
export function violations(history: History): Violation[] {
  return [acknowledged, ends, logs, streams, order, pauses, limits, leftovers].flatMap((rule) => rule(history));
}
