import type { QueueRecord } from "../store.ts";
import type { Database } from "./database.ts";
import { LOCKS } from "./locks.ts";
import type { Told } from "./told.ts";

/** Claims exclude it, so that none takes a job once this has resolved. */
export async function queuePause(
  db: Database,
  p: { app: string; function: string; paused: boolean },
): Promise<Told<QueueRecord>> {
  const { app, function: name, paused } = p;
  await db.write({ durable: true }, async (tx) => {
    void tx.write("queueAdd", { app, function: name });
    return () => {};
  });
  const found = await db.get<{ queue: number }>("queueGet", { app, function: name });
  const locks = LOCKS.claim([{ queue: found?.queue ?? 0, shared: false }]);
  const value = await db.write({ durable: true, locks }, async (tx) => {
    void tx.write("queuePause", { app, function: name, paused });
    const state = await tx.get<{ queued: number; running: number }>("queueGet", { app, function: name });
    const { queued = 0, running = 0 } = state ?? {};
    return () => ({ app, function: name, paused, queued, running });
  });
  const deployments = paused ? [] : await db.read<{ deployment: number }>("queueDeployments", { app, function: name });
  return { value, signals: deployments.map(({ deployment }) => ({ type: "due", deployment, function: name })) };
}
