import { writeSync } from "node:fs";
import type { AthanorError } from "../../src/protocol/errors.ts";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { claim, finish, givenDeployment, insertOne, newJob } from "./conformance/given.ts";

/** A process that inserts and finishes jobs until it is killed or the store refuses, and tells on stdout of each that was acknowledged, at once. */
const path = process.argv[2];
if (path === undefined) throw new Error("the path of the database is missing");
const store = await openSqliteStore({ path });
const [live] = await store.deploymentListLive();
const deployment = live?.deployment ?? (await givenDeployment(store));

async function insertForEver(): Promise<never> {
  for (;;) {
    const { job } = await insertOne(
      store,
      newJob(deployment, { queueSize: 100_000, input: JSON.stringify("x".repeat(500)) }),
    );
    writeSync(1, `inserted ${job.job}\n`);
  }
}

async function finishForEver(): Promise<never> {
  for (;;) {
    for (const job of await claim(store, deployment, { limit: 3 })) {
      await finish(store, job, "succeed");
      writeSync(1, `finished ${job.job}\n`);
    }
  }
}

// A file that may not grow raises this; unheeded, the write fails instead.
process.on("SIGXFSZ", () => {});
try {
  await Promise.all([insertForEver(), insertForEver(), finishForEver(), finishForEver()]);
} catch (error) {
  writeSync(1, `refused ${(error as AthanorError).code}\n`);
  process.exit(0);
}
