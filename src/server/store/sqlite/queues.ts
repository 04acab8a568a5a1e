import type { KeyRecord, QueueRecord } from "../store.ts";
import type { Connection } from "./connection.ts";

export function queueList(db: Connection, p: { app?: string }): QueueRecord[] {
  return db.all<QueueRecord & { paused: unknown }>("queueList", { app: p.app ?? null }).map(toQueue);
}

export function queuePause(
  db: Connection,
  p: { app: string; function: string; paused: boolean; now: number },
): QueueRecord {
  const { app, function: name } = p;
  const { queue } = db.get("queuePause", { app, function: name, paused: p.paused ? 1 : 0 }) as { queue: number };
  return toQueue(db.get("queueState", { queue }) as QueueRecord);
}

export function keyList(
  db: Connection,
  p: { app: string; function: string; after?: string; limit: number },
): KeyRecord[] {
  const queue = db.get<{ queue: number }>("queueGet", { app: p.app, function: p.function })?.queue;
  if (queue === undefined) return [];
  const rows =
    p.after === undefined
      ? db.all<KeyRecord>("keyListFirst", { queue, limit: p.limit })
      : db.all<KeyRecord>("keyListAfter", { queue, after: p.after, limit: p.limit });
  return rows.map(({ key, queued, running, limit }) => ({ key, queued, running, limit }));
}

function toQueue(row: Omit<QueueRecord, "paused"> & { paused: unknown }): QueueRecord {
  const { app, function: name, queued, running } = row;
  return { app, function: name, paused: row.paused === 1, queued, running };
}
