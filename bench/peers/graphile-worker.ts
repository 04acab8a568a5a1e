import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import type { Contestant } from "../contestant.ts";
import { startPostgres } from "./postgres.ts";
import { Waiters } from "./waiters.ts";

/** graphile-worker keeps no results: the handler tells its own, and the sample ends with the event that says the job succeeded. */
export const graphileWorker: Contestant = {
  name: "graphile-worker, PostgreSQL",
  note: "every commit on disk; results are not kept",
  async start({ inFlight }) {
    const postgres = await startPostgres();
    const pgPool = new pg.Pool({ connectionString: postgres.url });
    // Idle connections are cut when the database stops.
    pgPool.on("error", () => {});
    const logger = new Logger(() => () => {});
    const results = new Map<string, { n: number }>();
    const waiters = new Waiters<{ n: number }>();
    const runner = await run({
      pgPool,
      // Several at a time: with the batches that its page on performance advises.
      ...(inFlight === 1
        ? { concurrency: 1 }
        : {
            preset: {
              worker: {
                concurrentJobs: inFlight,
                localQueue: { size: 2 * inFlight },
                completeJobBatchDelay: 0,
                failJobBatchDelay: 0,
              },
            },
          }),
      logger,
      noHandleSignals: true,
      taskList: {
        add: async (payload, { job }) => {
          results.set(job.id, { n: (payload as { n: number }).n + 1 });
        },
      },
    });
    runner.events.on("job:success", ({ job }) => {
      const result = results.get(job.id);
      results.delete(job.id);
      if (result) waiters.settle(job.id, result);
    });
    const client = await makeWorkerUtils({
      connectionString: postgres.url,
      logger,
    });
    return {
      async once(n) {
        const job = await client.addJob("add", { n });
        return { answer: await waiters.wait(job.id) };
      },
      async [Symbol.asyncDispose]() {
        await client.release();
        await runner.stop();
        await pgPool.end();
        await postgres[Symbol.asyncDispose]();
      },
    };
  },
};
