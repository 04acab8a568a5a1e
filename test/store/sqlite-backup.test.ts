import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openSqliteStore } from "../../src/server/store/sqlite.ts";
import { assertSound, claimOne, finish, givenDeployment, insertJobs, rejectsWith } from "./conformance/given.ts";
import { openTempStore, tempDir } from "./temp-store.ts";

describe("a backup of SQLite", () => {
  it("is a whole and sound store, of a moment between two steps, while others write", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "copy.db");
    await using store = await openTempStore();
    const deployment = await givenDeployment(store);
    const input = JSON.stringify("x".repeat(5000));
    await insertJobs(store, deployment, 2000, { queueSize: 1e6, input });
    let written = 0;
    let done = false;
    const backup = store.backup({ path }).finally(() => {
      done = true;
    });
    while (!done) {
      await insertJobs(store, deployment, 3, { queueSize: 1e6, function: "meanwhile" });
      written += 3;
      await finish(store, await claimOne(store, deployment), "succeed");
      await new Promise(setImmediate);
    }
    await backup;
    assert.equal(statSync(path).mode & 0o077, 0, "readable by its owner alone");
    await using copy = await openSqliteStore({ path });
    await assertSound(copy);
    const counts = Object.fromEntries((await copy.jobCounts({ now: 1 })).map((count) => [count.function, count]));
    assert((counts.meanwhile?.queued ?? 0) <= written);
    assert((counts.meanwhile?.queued ?? 0) % 3 === 0, "all of a step, or nothing");
    const ended = (await copy.jobList({ status: ["succeeded"], limit: 1e4 })).length;
    assert.equal((counts.infer?.queued ?? 0) + (counts.infer?.running ?? 0) + ended, 2000);
    assert.deepEqual(await copy.jobGet({ job: 2000 }), await store.jobGet({ job: 2000 }));
    assert.equal((await insertJobs(copy, deployment, 1, { queueSize: 1e6 })).length, 1, "it is in use like any other");
  });

  it("leaves alone a file that exists, and says what is wrong with the path", async () => {
    await using dir = await tempDir();
    await using store = await openTempStore();
    const path = join(dir.path, "precious");
    writeFileSync(path, "mine");
    await rejectsWith(store.backup({ path }), "bad_request");
    assert.equal(readFileSync(path, "utf8"), "mine");
    await rejectsWith(store.backup({ path: join(dir.path, "no", "folder") }), "bad_request");
  });
});
