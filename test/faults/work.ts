import { createHash } from "node:crypto";
import type { SpawnRequest } from "../../src/protocol/wire.ts";
import type { Allowed, FunctionPromise } from "./history.ts";
import { between, random, weighted } from "./random.ts";

/** One call as it is to be made. */
export interface Task {
  n: number;
  kind: Kind;
  function: string;
  request: SpawnRequest;
  key: string | null;
  /** Sent so many times at once, with its key. */
  copies: number;
  /** Milliseconds after its acknowledgement at which it is cancelled. */
  cancelAfterMs: number | null;
  /** Milliseconds after its acknowledgement at which a watcher comes; null: none does. */
  watchAfterMs: number | null;
  allowed: Allowed;
}

export type Kind = keyof typeof WEIGHTS;

/** Of each hundred calls or so. */
const WEIGHTS = {
  plain: 34,
  unkeyed: 4,
  repeated: 5,
  "cancelled early": 4,
  flaky: 10,
  doomed: 4,
  talker: 10,
  patient: 4,
  stubborn: 0.1,
  late: 3,
  chunks: 8,
  large: 1,
  ordered: 13,
} as const;

/** What the checker holds each function to. `ordered` runs on one worker of one replica, and so in one server alone. */
export const PROMISES: { [name: string]: FunctionPromise } = {
  ordered: { concurrency: 1, ordered: true },
};

const RETRIED = ["handler_error"];
const WATCHED_SHARE = 0.08;
const LARGE_CHARS = 400 * 1024;

/** The same seed gives the same calls. */
export function planWork(seed: number, jobs: number): Task[] {
  const next = random(seed);
  return Array.from({ length: jobs }, (_, n) => taskOf(weighted<Kind>(next, WEIGHTS), n, next));
}

function taskOf(kind: Kind, n: number, next: () => number): Task {
  const base = {
    n,
    kind,
    request: { args: [n] },
    key: `call-${n}`,
    copies: 1,
    cancelAfterMs: null,
    watchAfterMs: next() < WATCHED_SHARE ? (next() < 0.7 ? 0 : between(next, 1, 500)) : null,
  };
  const square: Allowed = { statuses: ["succeeded"], codes: [], value: n * n };
  const cancelled: Allowed = { statuses: ["cancelled"], codes: ["cancelled"] };
  switch (kind) {
    case "plain":
      return { ...base, function: "plain", allowed: square };
    case "unkeyed":
      return { ...base, function: "plain", key: null, watchAfterMs: null, allowed: square };
    case "repeated":
      return { ...base, function: "plain", copies: between(next, 2, 4), allowed: square };
    case "cancelled early": {
      const either: Allowed = { ...square, statuses: ["succeeded", "cancelled"], codes: ["cancelled"] };
      return { ...base, function: "plain", cancelAfterMs: between(next, 0, 20), allowed: either };
    }
    case "talker":
      // The slow ones outlive a fault or two, and so do their watchers.
      return {
        ...base,
        function: "talker",
        request: { args: [n, n % 3 === 0 ? between(next, 20, 300) : 1] },
        watchAfterMs: n % 3 === 0 ? 0 : base.watchAfterMs,
        allowed: { ...square, progress: 1 },
      };
    case "patient":
      return { ...base, function: "patient", cancelAfterMs: between(next, 0, 1500), allowed: cancelled };
    case "stubborn":
      return { ...base, function: "stubborn", cancelAfterMs: between(next, 100, 1500), allowed: cancelled };
    case "doomed":
      return { ...base, function: "doomed", allowed: { statuses: ["failed"], codes: RETRIED } };
    case "late":
      return { ...base, function: "late", allowed: { statuses: ["timed_out"], codes: ["timeout"] } };
    case "chunks": {
      const count = between(next, 0, 80);
      const allowed: Allowed = { statuses: ["succeeded"], codes: [], chunks: count };
      return { ...base, function: "chunks", request: { args: [n, count] }, allowed };
    }
    case "large": {
      const text = createHash("sha256")
        .update(`${n}`)
        .digest("hex")
        .repeat(LARGE_CHARS / 64);
      const value = { sha256: createHash("sha256").update(text).digest("hex"), text: text.slice(0, text.length / 2) };
      return { ...base, function: "large", request: { args: [n, text] }, allowed: { ...square, value } };
    }
    case "flaky":
    case "ordered":
      return { ...base, function: kind, allowed: square };
  }
}
