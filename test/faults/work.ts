import { createHash } from "node:crypto";
import type { SpawnRequest } from "../../src/protocol/wire.ts";
import type { Allowed, FunctionPromise } from "./history.ts";
import { between, pick, random, weighted } from "./random.ts";

/** One call as it is to be made. */
export interface Task {
  n: number;
  /** Tasks that are sent with this one in one request: all of one function, or of any. */
  together: { how: "batch" | "calls"; tasks: Task[] } | null;
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
  /** A later request cancels all that have this concurrency key. */
  swept: boolean;
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
  ordered: 10,
  keyed: 8,
  rated: 2,
  delayed: 4,
  expiring: 3,
  swept: 3,
  batch: 1,
  calls: 1,
} as const;

/** What the checker holds each function to. `ordered` runs on one worker of one replica, and so in one server alone. */
export const PROMISES: { [name: string]: FunctionPromise } = {
  ordered: { concurrency: 1, ordered: true },
  keyed: { concurrency: 5, perKey: 2 },
  rated: { rate: { limit: 10, perMs: 1000 } },
};

const KEYS = 6;
const MAX_TOGETHER = 20;

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
    together: null,
    copies: 1,
    cancelAfterMs: null,
    swept: false,
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
      return { ...base, function: "doomed", allowed: { statuses: ["failed"], codes: ["handler_error"] } };
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
    case "ordered": {
      const priority = next() < 0.2 ? between(next, -2, 2) : 0;
      return { ...base, function: "ordered", request: { args: [n], options: { priority } }, allowed: square };
    }
    case "keyed": {
      const key = `key-${between(next, 1, KEYS)}`;
      return {
        ...base,
        function: "keyed",
        request: { args: [n, key], options: { concurrency_key: key } },
        allowed: square,
      };
    }
    case "swept": {
      // Of a key one runs and the others wait, until all are cancelled together.
      const options = { concurrency_key: `sweep-${between(next, 1, KEYS)}` };
      return { ...base, function: "patient", request: { args: [n], options }, swept: true, allowed: cancelled };
    }
    case "delayed": {
      const options = { delay_s: between(next, 1, 30) / 10 };
      return { ...base, function: "plain", request: { args: [n], options }, allowed: square };
    }
    case "expiring": {
      const allowed: Allowed = { ...square, statuses: ["succeeded", "expired"], codes: ["expired"] };
      return {
        ...base,
        function: "ordered",
        request: { args: [n], options: { expire_s: between(next, 1, 3) / 100 } },
        allowed,
      };
    }
    case "batch":
    case "calls": {
      const kinds: readonly Kind[] = kind === "batch" ? ["plain"] : ["plain", "flaky", "talker", "doomed"];
      const tasks = Array.from({ length: between(next, 2, MAX_TOGETHER) }, (_, index) =>
        taskOf(pick(next, kinds), (n + 1) * 100_000 + index, next),
      );
      return { ...base, function: "", watchAfterMs: null, together: { how: kind, tasks }, allowed: square };
    }
    case "flaky":
    case "rated":
      return { ...base, function: kind, allowed: square };
  }
}
