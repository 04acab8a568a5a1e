import type { Waiting, WaitingReason } from "../../protocol/job.ts";
import type { JobRecord } from "../store/store.ts";
import { type Pace, secondsUntilStarted } from "./meter.ts";

export interface WaitingFacts {
  record: JobRecord;
  /** Jobs ahead in its function's queue, plus one; null: it was not counted, as the queue is long. */
  position: number | null;
  /** The function's queue is paused. */
  paused: boolean;
  /** Jobs of the function that run, over all deployments and servers. */
  running: number;
  /** At most so many may; null: no limit of the function's own. */
  concurrency: number | null;
  /** The rate limit lets none start before; 0: it does not hold any back. */
  heldUntil: number;
  /** Why no replica of its group can be started just now; null: one is there, coming, or may be tried. */
  noCapacity: string | null;
  /** A replica of its group is ready. */
  ready: boolean;
  pace: Pace;
  now: number;
}

interface Why {
  reason: WaitingReason;
  detail?: string;
}

/** Why a queued job is not running: the first thing that would have to change. */
export function waitingOf(facts: WaitingFacts): Waiting {
  const { record, position } = facts;
  const { reason, detail } = whyOf(facts);
  const estimate = estimateS(facts, reason);
  return {
    reason,
    ...(position === null ? {} : { position }),
    ...(detail === undefined ? {} : { detail }),
    since: iso(record.statusSince),
    ...(estimate === null ? {} : { estimated_wait_s: estimate }),
  };
}

function whyOf(facts: WaitingFacts): Why {
  const { record, position, now } = facts;
  if (record.runAfter !== null && record.runAfter > now) {
    const delayed = record.attempt === 0;
    return { reason: delayed ? "delayed" : "retry_delay", detail: `until ${iso(record.runAfter)}` };
  }
  if (facts.paused) return { reason: "paused", detail: "its queue was paused" };
  if (record.keyWaits && record.concurrencyKey !== null) {
    const { key, limit } = record.concurrencyKey;
    return { reason: "concurrency_key", detail: `${limit} at a time of the key ${JSON.stringify(key)}` };
  }
  if (facts.noCapacity !== null) return { reason: "no_capacity", detail: facts.noCapacity };
  const first = whyFirst(facts);
  if (position === 1) return first;
  return { reason: "position", detail: `the first waits for: ${first.reason}` };
}

/** What the first of the queue waits for. */
function whyFirst({ concurrency, running, heldUntil, ready, now }: WaitingFacts): Why {
  if (concurrency !== null && running >= concurrency)
    return { reason: "concurrency", detail: `${running} run, and the function's concurrency is ${concurrency}` };
  if (heldUntil > now) return { reason: "rate_limit", detail: `none may start before ${iso(heldUntil)}` };
  return { reason: ready ? "concurrency" : "cold_start" };
}

/** Whole tenths of a second. */
function estimateS(facts: WaitingFacts, reason: WaitingReason): number | null {
  const { record, position, heldUntil, pace, now } = facts;
  if (reason === "delayed" || reason === "retry_delay") return tenths((Number(record.runAfter) - now) / 1000);
  // Until somebody acts, or other jobs of its key are done.
  if (reason === "paused" || reason === "no_capacity" || reason === "concurrency_key") return null;
  if (position === null) return null;
  const seconds = secondsUntilStarted(position, pace);
  const held = Math.max(0, heldUntil - now) / 1000;
  if (seconds === null) return held > 0 && position === 1 ? tenths(held) : null;
  return tenths(Math.max(seconds, held));
}

const tenths = (seconds: number): number => Math.ceil(seconds * 10) / 10;
const iso = (at: number): string => new Date(at).toISOString();
