import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "../../src/build/index.ts";
import { startTestServer } from "../harness/server.ts";

const JOBS = 60;

test("under chaos jobs run more than once, and each still has its one result", { timeout: 120_000 }, async () => {
  await using server = await startTestServer({ chaos: 7 });
  const { api } = server;
  const until = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        // A connection that chaos has cut.
        if (error instanceof assert.AssertionError) throw error;
      }
    }
  };
  await api.deploy(await build({ entry: join(import.meta.dirname, "apps/chaos.ts") }));
  const jobs = await Promise.all(Array.from({ length: JOBS }, (_, n) => api.spawn("chaos", "double", { args: [n] })));
  const ends = await Promise.all(jobs.map(({ job_id }) => until(() => api.end(job_id))));
  assert.deepEqual(
    ends.map(({ result }) => result),
    ends.map((_, n) => n * 2),
  );
  assert.ok(ends.some(({ attempt }) => attempt > 1));
});
