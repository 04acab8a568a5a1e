import { AthanorError } from "../../../protocol/errors.ts";
import { type ScheduleRow, toSchedule } from "../rows.ts";
import type { ScheduleRecord, Store, StoreSignal, VerbParams } from "../store.ts";
import type { Database } from "./database.ts";
import { Insertion, queuesOf } from "./insert.ts";
import { LOCKS } from "./locks.ts";
import type { QueueNames } from "./names.ts";

export async function scheduleList(db: Database, p: VerbParams<"scheduleList">): Promise<ScheduleRecord[]> {
  return (await db.read<ScheduleRow>("scheduleList", { app: p.app ?? null })).map(toSchedule);
}

export async function schedulePause(db: Database, p: VerbParams<"schedulePause">): Promise<ScheduleRecord | null> {
  return await db.write({ durable: true }, async (tx) => {
    const [row] = await tx.write<ScheduleRow>("schedulePause", { ...p, nextAt: p.nextAt ?? null });
    return () => (row === undefined ? null : toSchedule(row));
  });
}

export async function scheduleDue(db: Database, p: VerbParams<"scheduleDue">): Promise<ScheduleRecord[]> {
  return (await db.read<ScheduleRow>("scheduleDue", p)).map(toSchedule);
}

export async function scheduleNext(db: Database): Promise<number | null> {
  return (await db.get<{ next_at: number | null }>("scheduleNext"))?.next_at ?? null;
}

interface Fired {
  value: Awaited<ReturnType<Store["scheduleFire"]>>;
  signals: StoreSignal[];
}

export async function scheduleFire(db: Database, names: QueueNames, p: VerbParams<"scheduleFire">): Promise<Fired> {
  const { app, function: name, from, nextAt, now } = p;
  const calls = p.job === null ? [] : [{ jobs: [p.job], now }];
  const queues = await Promise.all(calls.map(({ jobs }) => queuesOf(names, jobs)));
  const numbers = queues.flatMap((found) => ("value" in found ? found.value : []));
  const locks = [LOCKS.apps({ shared: true }), ...LOCKS.insert(numbers)];
  return await db.write({ durable: true, locks }, async (tx): Promise<() => Fired> => {
    const nothing = () => ({ value: { fired: false, inserted: null }, signals: [] });
    const schedule = await tx.get<ScheduleRow>("scheduleLock", { app, function: name });
    if (schedule === undefined || schedule.paused || schedule.next_at !== from) return nothing;
    const insertion = await Insertion.prepare(tx, names, calls, queues);
    const [call] = calls;
    const answer = call && (await insertion.plan(call, queues[0] ?? { value: [] }));
    // A queue that is full skips the tick; anything else that is wrong leaves the schedule as it is.
    if (answer !== undefined && "error" in answer) {
      if (!(answer.error instanceof AthanorError && answer.error.code === "queue_full")) throw answer.error;
    }
    void tx.write("scheduleMove", { app, function: name, nextAt });
    if (answer === undefined || "error" in answer) {
      return () => ({ value: { fired: true, inserted: null }, signals: [] });
    }
    const made = await insertion.make();
    const inserted = answer.value.map((one) => insertion.toInserted(one, made))[0] ?? null;
    if (inserted !== null) {
      void tx.write("scheduleMade", { app, function: name, lastAt: from, lastJob: inserted.job.job });
    }
    return () => ({ value: { fired: true, inserted }, signals: insertion.signals(made) });
  });
}
