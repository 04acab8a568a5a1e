import type { Waiting } from "../../protocol/job.ts";
import type { JobRecord } from "../store/store.ts";

export interface WaitingFacts {
  record: JobRecord;
  /** Jobs ahead in its function's queue, plus one. */
  position: number;
  /** Why no replica of its group can be started just now; null: one is there, coming, or may be tried. */
  noCapacity: string | null;
  /** A replica of its group is ready. */
  ready: boolean;
  now: number;
}

/** Why a queued job is not running: the first thing that would have to change. */
export function waitingOf({ record, position, noCapacity, ready, now }: WaitingFacts): Waiting {
  const since = new Date(record.statusSince).toISOString();
  if (record.runAfter !== null && record.runAfter > now) return { reason: "retry_delay", position, since };
  if (noCapacity !== null) return { reason: "no_capacity", position, detail: noCapacity, since };
  if (position > 1) return { reason: "position", position, since };
  return { reason: ready ? "concurrency" : "cold_start", position, since };
}
