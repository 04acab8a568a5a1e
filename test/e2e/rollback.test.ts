import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { DeploymentJson, DeployResult, Page, Problem, ScheduleJson } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { CliRun, temporaryFolder } from "./cli-process.ts";

let upload: DeploymentUpload;

before(async () => {
  upload = await build({ entry: join(import.meta.dirname, "apps/ladder.ts") });
});

/** Another version of the app. */
function versioned(version: string, change: (made: DeploymentUpload) => DeploymentUpload = (made) => made) {
  const made = change({ ...upload, bundle: upload.bundle.replaceAll("version one", `version ${version}`) });
  assert.ok(version === "one" || made.bundle !== upload.bundle);
  return { ...made, digest: digestUpload(made) };
}

const broken = (version: string): DeploymentUpload =>
  versioned(version, (made) => ({ ...made, bundle: made.bundle.replace('model = "sound"', 'model = "broken"') }));

async function refused(server: TestServer, path: string, body?: unknown): Promise<Problem> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await server.api.fetch(path, { method: "POST", ...init });
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return (await response.json()) as Problem;
}

const get = async (server: TestServer, path: string): Promise<unknown> => (await fetch(`${server.url}${path}`)).json();

async function statuses(server: TestServer): Promise<string[]> {
  const { items } = await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments");
  return items.map(({ deployment_id, status }) => `${deployment_id.split(":")[1]} ${status}`).toReversed();
}

describe("a deployment whose replicas do not get ready", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    await server.api.deploy(upload);
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("leaves the one before live, and says why to the deployer, in its JSON and in the events", async () => {
    assert.equal(await get(server, "/ladder/model"), "version one");
    const left = new AbortController();
    const events = await server.api.fetch("/v1/events?events=deployment", { signal: left.signal });
    const problem = await refused(server, "/v1/deployments", broken("two"));
    assert.equal(problem.code, "startup_failed");
    assert.match(problem.detail, /cannot load it[\s\S]*Its last lines of stderr:[\s\S]*the model is broken/);
    assert.equal(await get(server, "/ladder/model"), "version one");
    assert.deepEqual(await statuses(server), ["1 live", "2 failed"]);
    const failed = await server.api.json<DeploymentJson>("GET", "/v1/deployments/2");
    assert.equal(failed.error?.code, "startup_failed");
    assert.match(failed.error?.message ?? "", /cannot load it/);
    assert.ok(failed.error?.last_stderr.includes("the model is broken"), JSON.stringify(failed.error));
    assert.deepEqual(
      failed.phases.map(({ phase }) => phase),
      ["upload", "install", "trial", "prepare"],
    );
    let text = "";
    for await (const chunk of events.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      if (/"status":"failed","error":\{"code":"startup_failed","message":"[^"]*cannot load it/.test(text)) break;
    }
    left.abort();
    assert.ok((await server.api.replicas()).every(({ deployment_id }) => deployment_id === "deployments:1"));
    await using show = new CliRun(["deployment", "show", "2", "--url", server.url, "--token", server.token], {
      env: {},
    });
    const { stdout } = await show.ended;
    assert.match(stdout, /error: +startup_failed: .*cannot load it/);
    assert.match(stdout, /the model is broken/);
    assert.match(stdout, /took: +upload .* prepare \d/);
  });

  it("takes its place when it does, with as many replicas ready as the one before had", async () => {
    assert.equal(await get(server, "/ladder/model"), "version one");
    const { deployment } = await server.api.deploy(versioned("three"));
    assert.deepEqual(
      deployment.phases.map(({ phase }) => phase),
      ["upload", "install", "trial", "prepare", "switch"],
    );
    const ready = (await server.api.replicas()).filter(({ deployment_id: id }) => id === deployment.deployment_id);
    assert.ok(ready.some(({ status, functions }) => status === "ready" && functions.includes("model")));
    assert.equal(await get(server, "/ladder/model"), "version three");
  });
});

describe("a server that stops while a deployment gets ready", () => {
  it("waits for it no longer, and has the one before live at its next start", async () => {
    await using folder = await temporaryFolder();
    const data = join(folder.path, "data");
    let deploying: Promise<Problem>;
    {
      await using server = await startTestServer({ data });
      await server.api.deploy(upload);
      assert.equal(await get(server, "/ladder/model"), "version one");
      const stuck = versioned("two", (made) => ({
        ...made,
        bundle: made.bundle.replace('model = "sound"', 'model = "stuck"'),
      }));
      deploying = refused(server, "/v1/deployments", stuck);
      const starts = async () =>
        (await server.api.replicas()).some(
          ({ deployment_id: id, status }) => id === "deployments:2" && status === "starting",
        );
      while (!(await starts()));
    }
    assert.equal((await deploying).code, "shutting_down");
    await using server = await startTestServer({ data });
    assert.equal(await get(server, "/ladder/model"), "version one");
    assert.deepEqual(await statuses(server), ["1 live", "2 failed"]);
    const { error } = await server.api.json<DeploymentJson>("GET", "/v1/deployments/2");
    assert.equal(error?.code, "shutting_down");
  });
});

describe("a rollback", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    for (const version of ["one", "two", "three"]) await server.api.deploy(versioned(version));
    await refused(server, "/v1/deployments", {
      ...broken("four"),
      ...versioned("four", (made) => ({ ...made, bundle: "throw 1" })),
    });
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("makes the one before live, step by step, and any by its id, its schedules too", async () => {
    assert.deepEqual(await statuses(server), ["1 superseded", "2 superseded", "3 live", "4 failed"]);
    const schedules = () => server.api.json<Page<ScheduleJson>>("GET", "/v1/schedules");
    const before = await schedules();
    assert.equal(before.items.length, 1);
    const back = await server.api.json<DeployResult>("POST", "/v1/apps/ladder/rollback");
    assert.deepEqual(
      [back.deployment.deployment_id, back.deployment.status, back.unchanged],
      ["deployments:2", "live", false],
    );
    assert.equal(await get(server, "/ladder/version"), "version two");
    const unscheduled = versioned("five", (made) => {
      const spec = structuredClone(made.spec);
      for (const fn of spec.functions) fn.schedule = null;
      return { ...made, spec };
    });
    await server.api.deploy(unscheduled);
    assert.deepEqual((await schedules()).items, []);
    await server.api.json("POST", "/v1/deployments/2/rollback");
    assert.equal((await schedules()).items[0]?.function, "tick");
    await server.api.json("POST", "/v1/apps/ladder/rollback");
    assert.equal(await get(server, "/ladder/version"), "version one");
    assert.deepEqual(await statuses(server), ["1 live", "2 superseded", "3 superseded", "4 failed", "5 superseded"]);
    const again = await server.api.json<DeployResult>("POST", "/v1/deployments/deployments:1/rollback");
    assert.equal(again.unchanged, true);
  });

  it("makes the folder again where it is gone", async () => {
    const { digest } = await server.api.json<DeploymentJson>("GET", "/v1/deployments/3");
    await rm(join(server.dataDir, "deployments", digest), { recursive: true });
    await server.api.json("POST", "/v1/deployments/3/rollback");
    assert.equal(await get(server, "/ladder/version"), "version three");
    assert.ok(readdirSync(join(server.dataDir, "deployments")).includes(digest));
    assert.equal((await server.api.run("ladder", "tick")).result, "version three");
  });

  it("is refused where there is nothing to go back to, and says why", async () => {
    const codes: string[] = [];
    for (const path of ["deployments/4/rollback", "deployments/99/rollback", "apps/none/rollback"])
      codes.push((await refused(server, `/v1/${path}`)).code);
    assert.deepEqual(codes, ["rollback_impossible", "deployment_not_found", "app_not_found"]);
    await server.api.json("POST", "/v1/deployments/1/rollback");
    const first = await refused(server, "/v1/apps/ladder/rollback");
    assert.equal(first.code, "rollback_impossible");
    assert.match(first.detail, /before deployments:1/);
  });

  it("shows what a service says of its own start, until it is ready", async () => {
    const args = ["--url", server.url, "--token", server.token];
    await using logs = new CliRun(["deployment", "logs", "1", "--health-path", "/health", ...args], { env: {} });
    const { status, stdout, stderr } = await logs.ended;
    assert.equal(status, 0, stderr);
    const lines = stdout
      .trim()
      .split("\n")
      .filter((line) => line.includes("ladder starts"));
    assert.deepEqual(
      lines.map((line) => line.replace(/^\S+ +/, "")),
      ["ladder starts  weights: 1 of 2", "ladder starts  weights: 2 of 2"],
    );
    assert.match(stderr, /ladder is ready/);
    await using other = new CliRun(["deployment", "logs", "4", "--health-path", "/health", ...args], { env: {} });
    assert.match((await other.ended).stderr, /deployments:4 is failed: only a live deployment/);
  });

  it("is a command", async () => {
    const run = async (...args: string[]) => {
      await using cli = new CliRun(["deployment", "rollback", ...args, "--url", server.url, "--token", server.token], {
        env: {},
      });
      return await cli.ended;
    };
    assert.match((await run("3")).stdout, /ladder is live as deployments:3 again/);
    assert.match((await run()).stdout, /ladder is live as deployments:2 again/);
    assert.match((await run("2")).stdout, /Unchanged/);
    const failed = await run("4", "--json");
    assert.equal(JSON.parse(failed.stderr).code, "rollback_impossible");
  });
});
