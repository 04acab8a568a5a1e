/** Schedules and webhooks, where several servers share a database: each tick and each end is one of theirs to see to. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { JobJson, Page, ScheduleJson } from "../../src/protocol/wire.ts";
import { postgresMissing, TestPostgres } from "../harness/postgres.ts";
import { Receiver } from "../harness/receiver.ts";
import { ServerProcess } from "../harness/server.ts";

const SECRET = "a secret of this test";

describe("servers of one database", { skip: postgresMissing() }, () => {
  const owned = new AsyncDisposableStack();
  let servers: ServerProcess[];
  let receiver: Receiver;
  let hangs = false;
  before(async () => {
    const dir = await mkdtemp(join(tmpdir(), "athanor-timers-"));
    owned.defer(() => rm(dir, { recursive: true, force: true }));
    const postgres = owned.use(await TestPostgres.start());
    receiver = owned.use(
      await Receiver.start((_, response) => {
        if (!hangs) response.writeHead(204).end();
      }),
    );
    const env = { ATHANOR_STORE: postgres.url(), ATHANOR_BLOBS: join(dir, "blobs") };
    servers = await Promise.all(
      [0, 1, 2].map(async () =>
        ServerProcess.start({
          dataDir: await mkdtemp(join(dir, "data-")),
          tempDir: dir,
          env,
          args: ["--allow-private-webhooks"],
        }),
      ),
    );
    for (const server of servers) owned.use(server);
    const [clock, webhooks] = await Promise.all(
      ["schedules.ts", "webhooks.ts"].map((file) => build({ entry: join(import.meta.dirname, "apps", file) })),
    );
    assert(clock && webhooks);
    // Not by the one that leads: it hears of them all the same.
    const [, follower] = await byLead();
    await follower.api.deploy(clock);
    await follower.api.deploy(webhooks);
    for (const { api } of servers) {
      while ((await api.fetch("/v1/apps/webhooks")).status !== 200)
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  after(() => owned.disposeAsync());

  /** The server that leads, and the others. */
  async function byLead(): Promise<[ServerProcess, ServerProcess, ...ServerProcess[]]> {
    for (;;) {
      const running = servers.filter(({ running }) => running);
      const leads = await Promise.all(
        running.map(async ({ api }) => /^athanor_leader 1$/m.test(await (await api.fetch("/metrics")).text())),
      );
      const leader = running[leads.indexOf(true)];
      const others = running.filter((server) => server !== leader);
      if (leader && others[0]) return [leader, others[0], ...others.slice(1)];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function ticks(server: ServerProcess, atLeast: number): Promise<JobJson[]> {
    for (;;) {
      const jobs = await server.api.jobs("&app=clock&function=tick");
      if (jobs.length >= atLeast) return jobs;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it("tell the end of each job once, whichever of them it was given to", async () => {
    const spawned = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        servers[n % 3]?.api.spawn("webhooks", "shout", {
          args: [`${n}`],
          options: { webhook: { url: `${receiver.url}/once`, secret: SECRET } },
        }),
      ),
    );
    const received = await receiver.at("/once", 30);
    const told = received.map(({ body }) => JSON.parse(body).job.job_id).toSorted();
    assert.deepEqual(told, spawned.map((job) => job?.job_id).toSorted());
    assert.equal(new Set(received.map(({ headers }) => headers["webhook-id"])).size, 30);
  });

  it("make one job of each tick, and go on when the one that makes them is killed", async () => {
    const [leader, other] = await byLead();
    const known = await ticks(other, 3);
    hangs = true;
    const options = { webhook: { url: `${receiver.url}/killed`, secret: SECRET } };
    await leader.api.spawn("webhooks", "shout", { args: ["x"], options });
    await receiver.at("/killed");
    await leader.kill();
    hangs = false;
    const jobs = await ticks(other, known.length + 4);
    const { items } = await other.api.json<Page<ScheduleJson>>("GET", "/v1/schedules?app=clock");
    const tick = items.find((item) => item.function === "tick");
    // Ticks are whole seconds apart; a job is made at its tick or after it, so two between two ticks would be of one.
    const phase = Date.parse(tick?.next_at ?? "") % 1000;
    const seconds = jobs.map(({ created_at }) => Math.floor((Date.parse(created_at) - phase) / 1000));
    assert.equal(new Set(seconds).size, seconds.length, seconds.join(" "));
  });

  it("deliver what a killed one had under way, under the same id", async () => {
    const [first, again] = await receiver.at("/killed", 2);
    assert.equal(first?.headers["webhook-id"], again?.headers["webhook-id"]);
    assert.deepEqual(JSON.parse(first?.body ?? "").job.result, JSON.parse(again?.body ?? "").job.result);
  });

  it("pause and resume a schedule for all, from any of them", async () => {
    const [leader, other] = await byLead();
    await other.api.json("POST", "/v1/schedules/clock/tick/pause");
    const { length } = await ticks(leader, 1);
    const resumed = await other.api.json<ScheduleJson>("POST", "/v1/schedules/clock/tick/resume");
    assert.ok(resumed.next_at !== null);
    await ticks(leader, length + 2);
  });
});
