import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { JobJson, Page, ScheduleJson } from "../../src/protocol/wire.ts";
import type { Api } from "../harness/api.ts";
import { ServerProcess, startTestServer, type TestServer } from "../harness/server.ts";

const HOUR_MS = 3_600_000;

let dataDir: string;
let uploads: { first: DeploymentUpload; later: DeploymentUpload };

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "athanor-schedules-"));
  const [first, later] = await Promise.all(
    ["schedules.ts", "schedules-later.ts"].map((file) => build({ entry: join(import.meta.dirname, "apps", file) })),
  );
  assert(first && later);
  uploads = { first, later };
});
after(() => rm(dataDir, { recursive: true, force: true }));

async function schedules(api: Api): Promise<Map<string, ScheduleJson>> {
  const { items } = await api.json<Page<ScheduleJson>>("GET", "/v1/schedules?app=clock");
  return new Map(items.map((item) => [item.function, item]));
}

async function scheduleOf(api: Api, name: string): Promise<ScheduleJson> {
  return (await schedules(api)).get(name) ?? assert.fail(`${name} has no schedule`);
}

const change = (api: Api, name: string, action: "pause" | "resume"): Promise<ScheduleJson> =>
  api.json("POST", `/v1/schedules/clock/${name}/${action}`);
const jobsOf = (api: Api, name: string): Promise<JobJson[]> => api.jobs(`&app=clock&function=${name}`);

/** The function's ended jobs, oldest first, once there are so many. */
async function ended(api: Api, name: string, count: number): Promise<JobJson[]> {
  for (;;) {
    const jobs = (await jobsOf(api, name)).toReversed();
    if (jobs.length >= count) return await Promise.all(jobs.slice(0, count).map(({ job_id }) => api.end(job_id)));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("schedules", () => {
  let server: TestServer;
  let api: Api;
  before(async () => {
    server = await startTestServer();
    api = server.api;
    await api.deploy(uploads.first);
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("run their functions at each tick, with the defaults as input", async () => {
    const [first, second, third] = await ended(api, "tick", 3);
    assert.equal(first?.result, `${first?.job_id}, by the clock`);
    const at = [first, second, third].map((job) => Date.parse(job?.created_at ?? ""));
    // Each is made after its tick; the ticks themselves are a second apart.
    assert.ok(at.every((time, index) => index === 0 || time > (at[index - 1] ?? 0)));
    const shown = await scheduleOf(api, "tick");
    assert.ok(Number(shown.last_job_id?.slice("jobs:".length)) >= Number(third?.job_id.slice("jobs:".length)));
    const phase = (text: string | null): number => Date.parse(text ?? "") % 1000;
    assert.equal(phase(shown.next_at), phase(shown.last_at), "ticks do not drift");
  });

  it("are listed with their rhythm, and when they run next", async () => {
    const all = await schedules(api);
    assert.deepEqual([...all.keys()], ["nightly", "skipped", "tick"]);
    const { next_at, ...nightly } = await scheduleOf(api, "nightly");
    assert.deepEqual(nightly, {
      app: "clock",
      function: "nightly",
      schedule: "30 2 * * *",
      time_zone: "Europe/Berlin",
      every_s: null,
      missed: "run_once",
      paused: false,
      last_at: null,
      last_job_id: null,
    });
    const inBerlin = new Intl.DateTimeFormat("de", { timeZone: "Europe/Berlin", timeStyle: "short" });
    assert.match(inBerlin.format(new Date(next_at ?? "")), /^0(?:2:30|3:00)$/);
    const { every_s, schedule, time_zone, missed } = await scheduleOf(api, "skipped");
    assert.deepEqual([every_s, schedule, time_zone, missed], [3600, null, null, "skip"]);
    assert.deepEqual(await api.json("GET", "/v1/schedules?app=none"), { items: [], next_cursor: null });
  });

  it("can be paused, and triggered all the same, and resumed", async () => {
    const paused = await change(api, "tick", "pause");
    assert.deepEqual([paused.paused, paused.next_at], [true, null]);
    const known = await jobsOf(api, "tick");
    const response = await api.fetch("/v1/schedules/clock/tick/trigger", { method: "POST" });
    assert.equal(response.status, 202);
    const job = (await response.json()) as JobJson;
    assert.equal(response.headers.get("location"), `/v1/jobs/${job.job_id}`);
    assert.equal((await api.end(job.job_id)).result, `${job.job_id}, by the clock`);
    assert.equal((await jobsOf(api, "tick")).length, known.length + 1, "and no other was made");
    assert.notEqual((await scheduleOf(api, "tick")).last_job_id, job.job_id, "it was no tick");
    const resumed = await change(api, "tick", "resume");
    assert.equal(resumed.paused, false);
    await ended(api, "tick", known.length + 2);
  });

  it("stay as they are through a deployment that does not change them, and are what it says where it does", async () => {
    await change(api, "nightly", "pause");
    const before = await schedules(api);
    await api.deploy(uploads.later);
    const later = await schedules(api);
    assert.deepEqual([...later.keys()], ["called", "nightly", "skipped", "tick"]);
    assert.equal(later.get("skipped")?.next_at, before.get("skipped")?.next_at);
    assert.deepEqual([later.get("nightly")?.schedule, later.get("nightly")?.time_zone], ["0 12 1 1 *", "UTC"]);
    assert.equal(later.get("nightly")?.paused, true, "what the operator said holds");
    assert.match((await change(api, "nightly", "resume")).next_at ?? "", /^\d{4}-01-01T12:00:00\.000Z$/);
    const job = await api.json<JobJson>("POST", "/v1/schedules/clock/called/trigger");
    assert.equal((await api.end(job.job_id)).result, "called by nobody");
    // Ticks from now on are of the new version.
    const made = (await jobsOf(api, "tick")).length;
    assert.equal((await ended(api, "tick", made + 2)).at(-1)?.result, "later, by the clock");

    await api.deploy(uploads.first);
    assert.deepEqual([...(await schedules(api)).keys()], ["nightly", "skipped", "tick"]);
    assert.equal((await schedules(api)).get("skipped")?.next_at, before.get("skipped")?.next_at);
  });

  it("are of functions that have one", async () => {
    for (const action of ["pause", "resume", "trigger"]) {
      const path = `/v1/schedules/clock/called/${action}`;
      const problem = await api.json<{ code: string; detail: string }>("POST", path, undefined, 404);
      assert.deepEqual(
        [problem.code, problem.detail],
        ["schedule_not_found", 'the app "clock" has no scheduled function "called"'],
      );
    }
  });

  it("go with their app", async () => {
    const response = await api.fetch("/v1/apps/clock", { method: "DELETE" });
    assert.equal(response.status, 204);
    assert.equal((await schedules(api)).size, 0);
  });
});

describe("a server that was away", () => {
  it("runs once for all the ticks that were missed, or not, and goes on", async () => {
    await using stack = new AsyncDisposableStack();
    const first = stack.use(await ServerProcess.start({ dataDir }));
    await first.api.deploy(uploads.first);
    await change(first.api, "tick", "pause");
    const before = await schedules(first.api);
    await first.kill();

    // As if it had been killed five hours ago.
    const database = new DatabaseSync(join(dataDir, "athanor.db"));
    database.exec(`UPDATE schedules SET next_at = next_at - ${5.5 * HOUR_MS} WHERE function = 'skipped'`);
    database.exec(`UPDATE schedules SET next_at = next_at - ${5 * 24 * HOUR_MS} WHERE function = 'nightly'`);
    database.close();

    const { api } = stack.use(await ServerProcess.start({ dataDir }));
    const [night] = await ended(api, "nightly", 1);
    assert.equal(night?.result, "night");
    const nightly = await scheduleOf(api, "nightly");
    assert.equal(nightly.next_at, before.get("nightly")?.next_at);
    assert.equal(nightly.last_job_id, night?.job_id);
    let skipped = await scheduleOf(api, "skipped");
    while (Date.parse(skipped.next_at ?? "") < Date.now()) skipped = await scheduleOf(api, "skipped");
    const half = Date.parse(before.get("skipped")?.next_at ?? "") - HOUR_MS / 2;
    assert.equal(Date.parse(skipped.next_at ?? ""), half, "its phase is kept");
    assert.deepEqual([skipped.last_at, (await jobsOf(api, "skipped")).length], [null, 0]);
    assert.equal((await jobsOf(api, "nightly")).length, 1);
    assert.equal((await scheduleOf(api, "tick")).paused, true);
  });
});

describe("a schedule that cannot be kept", () => {
  it("is refused by the server as well, and what was live stays", async () => {
    await using server = await startTestServer();
    await server.api.deploy(uploads.first);
    const upload = structuredClone(uploads.first);
    const [echo, nightly] = ["echo", "nightly"].map((name) => upload.spec.functions.find((fn) => fn.name === name));
    assert(echo && nightly);
    echo.schedule = nightly.schedule;
    upload.digest = digestUpload(upload);
    const problem = await server.api.json<{ code: string; detail: string }>("POST", "/v1/deployments", upload, 422);
    assert.equal(problem.code, "deployment_invalid");
    assert.match(problem.detail, /^echo has a schedule, and a scheduled run has no input: .*text/s);
    assert.deepEqual([...(await schedules(server.api)).keys()], ["nightly", "skipped", "tick"]);
  });

  const refusals: [options: string, handler: string, why: RegExp][] = [
    [
      '"61 * * * *"',
      "async () => 1",
      /app\.ts:3: the schedule of bad: the cron expression "61 \* \* \* \*" is not valid/,
    ],
    ['{ cron: "@daily", timeZone: "Mars/Olympus" }', "async () => 1", /time zone "Mars\/Olympus" is not known/],
    ["{ everyS: 0.5 }", "async () => 1", /everyS/],
    ['"@daily"', "async (text: string) => text", /the parameter text has no default/],
  ];
  for (const [schedule, handler, why] of refusals) {
    it(`fails the build: ${schedule}, ${handler}`, async () => {
      const dir = await mkdtemp(join(import.meta.dirname, "fixtures", "schedule-"));
      try {
        const entry = join(dir, "app.ts");
        const lines = [
          'import { App } from "athanor";',
          'const app = new App("bad");',
          `export const bad = app.function({ schedule: ${schedule} }, ${handler});`,
        ];
        await writeFile(entry, lines.join("\n"));
        await assert.rejects(build({ entry }), (error) => {
          assert.ok(error instanceof AthanorError, String(error));
          assert.equal(error.code, "option_invalid");
          assert.match(error.detail, why);
          return true;
        });
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });
  }
});
