import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deploymentOf, functionSpec } from "../../test/harness/specs.ts";
import { newJob } from "../../test/store/conformance/given.ts";
import { Blobs } from "./blobs/blobs.ts";
import { ReplicaLogs } from "./deployments/logs.ts";
import { DeploymentService } from "./deployments/service.ts";
import type { Log } from "./log.ts";
import { Maintenance } from "./maintenance.ts";
import { openSqliteStore } from "./store/sqlite.ts";

const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (fields, message) => assert.fail(`${message} ${JSON.stringify(fields)}`),
};

test("one round clears away ended jobs, and files that nothing needs, and keeps the others", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "athanor-prune-"));
  try {
    await using store = await openSqliteStore({ path: join(dataDir, "athanor.db") });
    const logs = new ReplicaLogs({ dir: join(dataDir, "logs"), log: silent });
    const blobs = new Blobs({ dir: join(dataDir, "blobs") });
    const deployments = new DeploymentService({
      store,
      blobs,
      dataDir,
      log: silent,
      env: {},
      trial: async () => null,
      prepare: async () => {},
      abandon: () => {},
      lastStderr: async () => [],
      inUse: () => [],
      onChange: () => {},
      now: Date.now,
    });
    await Promise.all([logs.start(), blobs.start(), deployments.start()]);
    const [live, stale] = ["a".repeat(64), "b".repeat(64)];
    const [used, unused] = ["c".repeat(64), "d".repeat(64)];
    for (const hash of [used, unused])
      mkdirSync(join(dataDir, "dependencies", hash, "node_modules"), { recursive: true });
    for (const digest of [live, stale]) {
      mkdirSync(join(dataDir, "deployments", digest));
      writeFileSync(join(dataDir, "deployments", digest, "bundle.mjs"), "");
    }
    symlinkSync(
      join("..", "..", "dependencies", used, "node_modules"),
      join(dataDir, "deployments", live, "node_modules"),
    );
    const { spec } = deploymentOf(1, [functionSpec("infer")]);
    const { deployment } = await store.deploymentInsert({ app: "demo", digest: live, spec, uploadBlob: null, now: 1 });
    await store.deploymentActivate({ deployment, schedules: [], now: 1 });
    await logs.flush();
    for (const number of [deployment, 99]) writeFileSync(join(dataDir, "logs", `${number}.ndjson`), "");
    const job = newJob(deployment, { ttlS: 1 });
    const inserted = await store.jobInsertMany({ jobs: [job, { ...job, ttlS: 1e10 }], now: 1 });
    for (const { job } of inserted) await store.jobCancel({ job: job.job, now: 1 });

    const lease = { leads: true };
    const maintenance = new Maintenance({ store, blobs, deployments, logs, log: silent, lease, intervalMs: 1 });
    maintenance.start();
    maintenance.start();
    while ((await store.jobList({ limit: 10 })).length === 2 || existsSync(join(dataDir, "logs", "99.ndjson")))
      await new Promise(setImmediate);
    await maintenance.stop();

    assert.deepEqual(
      (await store.jobList({ limit: 10 })).map((record) => record.job),
      [inserted[1]?.job.job],
    );
    assert.deepEqual(readdirSync(join(dataDir, "deployments")), [live]);
    assert.deepEqual(readdirSync(join(dataDir, "dependencies")), [used]);
    assert.deepEqual(readdirSync(join(dataDir, "logs")), [`${deployment}.ndjson`]);
    await deployments.stop();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
