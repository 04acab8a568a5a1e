import { Queue, QueueEvents, Worker } from "bullmq";
import type { Contestant } from "../contestant.ts";
import { startRedis } from "./redis.ts";

/** BullMQ as its guide shows it, the worker in this process; the result comes by its own `waitUntilFinished`. */
export function bullmq(appendFsync: "always" | "everysec"): Contestant {
  return {
    name: `BullMQ, Redis appendfsync ${appendFsync}`,
    note: appendFsync === "always" ? "every write on disk" : "up to 1 s of jobs lost with the machine",
    async start({ inFlight }) {
      const redis = await startRedis(appendFsync);
      const connection = {
        host: "127.0.0.1",
        port: redis.port,
        maxRetriesPerRequest: null,
      };
      const queue = new Queue("bench", { connection });
      // One listener for each job that is waited for.
      queue.setMaxListeners(0);
      const events = new QueueEvents("bench", { connection });
      const worker = new Worker("bench", async (job) => ({ n: job.data.n + 1 }), { connection, concurrency: inFlight });
      await Promise.all([queue.waitUntilReady(), events.waitUntilReady(), worker.waitUntilReady()]);
      return {
        async once(n) {
          const job = await queue.add("add", { n }, { removeOnComplete: { count: 1000 } });
          return { answer: await job.waitUntilFinished(events) };
        },
        async [Symbol.asyncDispose]() {
          await worker.close();
          await events.close();
          await queue.close();
          await redis[Symbol.asyncDispose]();
        },
      };
    },
  };
}
