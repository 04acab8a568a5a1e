import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { DeploymentJson, DeployResult, JobJson, LogLine, Page, Problem } from "../../src/protocol/wire.ts";
import { resolveConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/main.ts";
import { Api } from "../harness/api.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let upload: DeploymentUpload;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "athanor-deploy-"));
  upload = await build({ entry: join(import.meta.dirname, "apps/other.ts") });
});
after(() => rm(folder, { recursive: true, force: true }));

/** The upload with other code, as a new version would have it. */
function changed(change: (bundle: string) => string): DeploymentUpload {
  const other = { ...upload, bundle: change(upload.bundle) };
  return { ...other, digest: digestUpload(other) };
}

const newVersion = (): DeploymentUpload => {
  const made = changed((bundle) => bundle.replace("version one", "version two"));
  assert.ok(made.digest !== upload.digest);
  return made;
};

async function refused(api: Api, body: unknown): Promise<Problem> {
  const response = await api.fetch("/v1/deployments", {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  return (await response.json()) as Problem;
}

const version = async (server: { url: string }): Promise<unknown> =>
  (await fetch(`${server.url}/other/version`)).json();

describe("a deployment", () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("is made once for the same code, and says so", async () => {
    const first = await server.api.deploy(upload);
    assert.deepEqual(
      [first.unchanged, first.deployment.status, first.deployment.deployment_id],
      [false, "live", "deployments:1"],
    );
    const again = await server.api.deploy(upload);
    assert.deepEqual([again.unchanged, again.deployment.deployment_id], [true, "deployments:1"]);
    const { items } = await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments");
    assert.equal(items.length, 1);
  });

  it("takes the place of the one before, whose jobs run to their end", async () => {
    const job = await server.api.spawn("other", "wait");
    await server.api.events(job.job_id, { enough: ({ event }) => event === "job.running" });
    assert.equal(await version(server), "version one");
    const { deployment } = await server.api.deploy(newVersion());
    assert.equal(deployment.status, "live");
    assert.equal(await version(server), "version two");
    const before = await server.api.json<DeploymentJson>("GET", "/v1/deployments/1");
    assert.equal(before.status, "superseded");
    await server.api.cancel(job.job_id);
    const ended = await server.api.end(job.job_id);
    assert.deepEqual([ended.status, ended.deployment_id], ["cancelled", "deployments:1"]);
    assert.equal((await server.api.deploy(upload)).unchanged, false, "an earlier version can be deployed again");
    assert.equal(await version(server), "version one");
  });

  it("that throws when it is imported fails, and the one before stays live", async () => {
    const live = await server.api.json<DeployResult["deployment"]>("GET", "/v1/deployments/3");
    const problem = await refused(
      server.api,
      changed((bundle) => `throw new RangeError("not today");\n${bundle}`),
    );
    assert.equal(problem.code, "import_failed");
    assert.match(problem.detail, /not today/);
    assert.equal(await version(server), "version one");
    const { items } = await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments?limit=1");
    assert.equal(items[0]?.status, "failed");
    assert.equal(items[0]?.error?.code, "import_failed");
    assert.equal(
      (await server.api.json<DeploymentJson>("GET", `/v1/deployments/${live.deployment_id}`)).status,
      "live",
    );
  });

  it("that exits or never finishes loading fails too", async () => {
    const problem = await refused(
      server.api,
      changed((bundle) => `process.exit(3);\n${bundle}`),
    );
    assert.equal(problem.code, "import_failed", problem.detail);
    assert.equal(await version(server), "version one");
  });

  it("that is invalid leaves nothing behind", async () => {
    const dirs = readdirSync(join(server.dataDir, "deployments"));
    const { items } = await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments");
    for (const body of [
      {},
      [],
      null,
      { ...upload, digest: "0".repeat(64) },
      { ...upload, spec: { ...upload.spec, name: "V1" } },
    ]) {
      const problem = await refused(server.api, body);
      assert.equal(problem.code, "deployment_invalid", problem.detail);
    }
    const spec = structuredClone(upload.spec);
    spec.$defs = { Broken: { type: "no such type" } };
    const broken = { ...upload, spec };
    const problem = await refused(server.api, { ...broken, digest: digestUpload(broken) });
    assert.equal(problem.code, "deployment_invalid", problem.detail);
    assert.deepEqual(readdirSync(join(server.dataDir, "deployments")), dirs);
    assert.deepEqual((await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments")).items, items);
  });

  it("keeps what its replicas print", async () => {
    const job = await server.api.run("other", "keep", { args: ["this"] });
    assert.equal(job.result, 4);
    const path = `/v1/deployments/${job.deployment_id}/logs?function=keep`;
    const { items } = await server.api.json<Page<LogLine>>("GET", path);
    assert.ok(
      items.some(
        (at) => at.line === `kept this in ${job.job_id}` && at.stream === "stdout" && at.job_id === job.job_id,
      ),
      JSON.stringify(items),
    );
    const left = new AbortController();
    const follow = await server.api.fetch(`${path}&follow=true&limit=0`, { signal: left.signal });
    assert.equal(follow.headers.get("content-type"), "text/event-stream; charset=utf-8");
    await server.api.run("other", "keep", { args: ["more"] });
    let text = "";
    for await (const chunk of (follow.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes("kept more")) break;
    }
    left.abort();
    assert.ok(!text.includes("kept this"));
  });

  it("gives its replicas a token for their own app, while they live", async () => {
    const { url, token } = (await server.api.run("other", "access")).result as { url: string; token: string };
    assert.equal(url, server.url);
    const own = new Api(url, token);
    assert.equal((await own.run("other", "keep", { args: ["four"] })).result, 4);
    const jobs = await own.json<Page<JobJson>>("GET", "/v1/jobs");
    assert.ok(jobs.items.length > 0 && jobs.items.every(({ app }) => app === "other"));
    for (const path of ["/v1/deployments", "/v1/apps", "/v1/apps/web", "/v1/replicas", "/v1/server", "/metrics"]) {
      assert.equal((await own.fetch(path)).status, 401, path);
    }
    const post = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
    assert.equal((await own.fetch("/v1/apps/web/functions/infer/jobs", post)).status, 401);
    assert.equal((await own.fetch("/v1/apps/other", { method: "DELETE" })).status, 401);
    assert.equal((await server.api.fetch("/v1/apps/other", { method: "DELETE" })).status, 204);
    while ((await server.api.replicas()).length > 0);
    assert.equal((await own.fetch("/v1/jobs")).status, 401);
  });

  it("is gone with its app", async () => {
    assert.equal((await fetch(`${server.url}/other/version`)).status, 404);
    assert.deepEqual((await server.api.json<Page<JobJson>>("GET", "/v1/jobs")).items, []);
    assert.equal((await server.api.deploy(upload)).unchanged, false);
    assert.equal(await version(server), "version one");
  });
});

describe("a data folder", () => {
  it("keeps everything over a restart, and lets in one server at a time", async () => {
    const data = join(folder, "restart");
    let token: string;
    let job: JobJson;
    {
      await using server = await startTestServer({ data });
      token = server.token;
      await server.api.deploy(upload);
      job = await server.api.run("other", "keep", { args: ["over a restart"] });
      await assert.rejects(startTestServer({ data }), (error) => {
        assert.ok(error instanceof AthanorError && error.code === "data_dir_locked");
        assert.ok(error.detail.includes(server.url) && error.detail.includes(String(process.pid)), error.detail);
        return true;
      });
      assert.equal(await version(server), "version one", "the refused one does no harm to the first");
      assert.ok(existsSync(join(data, "server.json")));
    }
    assert.ok(!existsSync(join(data, "server.json")));
    await using server = await startTestServer({ data });
    assert.equal(server.token, token);
    assert.equal(await version(server), "version one");
    assert.deepEqual(await server.api.job(job.job_id), job);
    assert.equal((await server.api.deploy(upload)).unchanged, true);
    const next = await server.api.spawn("other", "keep", { args: ["x"] });
    assert.ok(Number(next.job_id.split(":")[1]) > Number(job.job_id.split(":")[1]));
  });

  it("that is full is answered with 507, and is whole afterwards", async () => {
    const dataDir = join(folder, "full");
    const config = { ...resolveConfig({ port: 0, data: dataDir, logLevel: "silent" }, {}), maxStorePages: 200 };
    await using server = await startServer(config);
    const api = new Api(server.url, server.token);
    await api.deploy(upload);
    const text = "x".repeat(100_000);
    const accepted: string[] = [];
    let full: Response | null = null;
    while (full === null) {
      const response = await api.fetch("/v1/apps/other/functions/keep/jobs", {
        method: "POST",
        body: JSON.stringify({ args: [text] }),
        headers: { "content-type": "application/json" },
      });
      if (response.status === 202) accepted.push(((await response.json()) as JobJson).job_id);
      else full = response;
      assert.ok(accepted.length < 100);
    }
    assert.equal(full.status, 507);
    assert.equal(((await full.json()) as Problem).code, "storage_full");
    assert.ok(accepted.length > 0);
    assert.deepEqual(await api.json("GET", "/v1/server/check"), { problems: [] });
    for (const id of accepted) assert.equal((await api.job(id)).job_id, id);
    assert.equal(await version(server), "version one", "what needs no room goes on");
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  });
});
