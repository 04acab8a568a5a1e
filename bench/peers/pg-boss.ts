import { PgBoss } from "pg-boss";
import type { Contestant } from "../contestant.ts";
import { startPostgres } from "./postgres.ts";
import { Waiters } from "./waiters.ts";

/** pg-boss with LISTEN/NOTIFY on, which its docs advise for latency. It has no call that waits for a result: the handler tells, before the completion is stored. */
export const pgBoss: Contestant = {
  name: "pg-boss, PostgreSQL",
  note: "every commit on disk; timed until the handler has run, not until its completion is stored",
  async start({ inFlight }) {
    const postgres = await startPostgres();
    const boss = new PgBoss({
      connectionString: postgres.url,
      useListenNotify: true,
    });
    boss.on("error", (error) => console.error(error));
    await boss.start();
    await boss.createQueue("bench", { notify: true });
    const waiters = new Waiters<{ n: number }>();
    await boss.work<{ n: number }>(
      "bench",
      { pollingIntervalSeconds: 0.5, batchSize: inFlight, burstWhenBatchFull: inFlight > 1 },
      async (jobs) => {
        for (const job of jobs) waiters.settle(job.id, { n: job.data.n + 1 });
      },
    );
    return {
      async once(n) {
        const id = await boss.send("bench", { n });
        if (id === null) throw new Error("pg-boss did not take the job");
        return { answer: await waiters.wait(id) };
      },
      async [Symbol.asyncDispose]() {
        await boss.stop({ graceful: false });
        await postgres[Symbol.asyncDispose]();
      },
    };
  },
};
