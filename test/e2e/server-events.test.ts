/** What happens on the whole server, as `GET /v1/events` tells it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;
let upload: Awaited<ReturnType<typeof build>>;

before(async () => {
  upload = await build({ entry: join(import.meta.dirname, "apps/events.ts") });
  server = await startTestServer();
});
after(() => server?.[Symbol.asyncDispose]());

interface Sent {
  id: string;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type of event has other data, which the tests look into
  data: any;
}

/** Up to the event that `enough` takes; then the client leaves. */
async function events(
  p: { query?: string; lastId?: string },
  enough: (event: Sent) => boolean,
  begun: (first: Sent) => void = () => {},
): Promise<Sent[]> {
  const left = new AbortController();
  const headers: Record<string, string> = p.lastId === undefined ? {} : { "last-event-id": p.lastId };
  const response = await server.api.fetch(`/v1/events${p.query ?? ""}`, { headers, signal: left.signal });
  assert.equal(response.status, 200);
  const seen: Sent[] = [];
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks.filter((each) => !each.startsWith(":"))) {
      const [, id, event, data] = /^id: (\S+)\nevent: (\S+)\ndata: (.*)$/.exec(block) ?? assert.fail(block);
      const sent = { id: id ?? "", event: event ?? "", data: JSON.parse(data ?? "") };
      seen.push(sent);
      if (seen.length === 1) begun(sent);
      if (!enough(sent)) continue;
      left.abort();
      return seen;
    }
  }
  return seen;
}

const ofJob =
  (id: string, status: string) =>
  ({ event, data }: Sent): boolean =>
    event === "job" && data.job_id === id && data.status === status;

describe("the server's events", () => {
  it("tell a deployment, its replica and a job from beginning to end, after a snapshot", async () => {
    let started = "";
    const seen = await events(
      {},
      (event) => event.event === "job" && event.data.status === "succeeded",
      async () => {
        await server.api.deploy(upload);
        started = (await server.api.spawn("events", "everything")).job_id;
      },
    );
    const [snapshot, ...rest] = seen;
    assert.equal(snapshot?.event, "server.snapshot");
    assert.deepEqual([snapshot.data.functions, snapshot.data.replicas, snapshot.data.deployments], [[], [], []]);
    const epoch = snapshot.id.split("-")[0];
    const first = Number(snapshot.id.split("-")[1]);
    assert.deepEqual(
      rest.map(({ id }) => id),
      rest.map((_, index) => `${epoch}-${first + 1 + index}`),
    );
    const data = (type: string) => rest.filter(({ event }) => event === type).map((event) => event.data);
    const [{ at: _, ...deployment }] = data("deployment") as [{ at: string }];
    assert.deepEqual(deployment, { deployment_id: "deployments:1", app: "events", status: "live" });
    assert.deepEqual(
      data("job").map(({ job_id, app, function: fn, status }) => [job_id, app, fn, status]),
      ["queued", "running", "queued", "running", "succeeded"].map((status) => [
        started,
        "events",
        "everything",
        status,
      ]),
    );
    assert.deepEqual(
      data("replica").map(({ app, deployment_id, status }) => [app, deployment_id, status]),
      ["starting", "ready"].map((status) => ["events", "deployments:1", status]),
    );
    assert.match(data("replica")[0].replica_id, /^replicas:\d+$/);
    for (const { at } of rest.map((event) => event.data)) assert.equal(new Date(at).toISOString(), at);
  });

  it("resume from an id with all that came since, and are reset after an id of another server", async () => {
    const id = (await server.api.run("events", "returns")).job_id;
    const isEnd = ofJob(id, "succeeded");
    const [, ...whole] = await events({ query: "?after=0-1" }, ({ event }) => event === "server.snapshot");
    const at = whole.at(-1)?.id ?? "";
    assert.equal(whole.at(-1)?.event, "server.snapshot");
    const next = (await server.api.run("events", "returns")).job_id;
    const since = await events({ lastId: at }, ofJob(next, "succeeded"));
    assert.deepEqual(
      since.filter(({ event }) => event === "job").map(({ data }) => [data.job_id, data.status]),
      ["queued", "running", "succeeded"].map((status) => [next, status]),
    );
    const middle = since.findIndex(ofJob(next, "running"));
    assert.deepEqual(
      await events({ query: `?after=${since[middle]?.id}` }, ofJob(next, "succeeded")),
      since.slice(middle + 1),
    );
    assert.ok(!since.some(isEnd));
    const [reset] = await events({ lastId: "0-5" }, () => true);
    assert.equal(reset?.event, "stream.reset");
    assert.equal(reset.data.requested, "0-5");
  });

  it("show in a snapshot what there is: each function with its jobs, replicas, live deployments", async () => {
    const [{ data }] = (await events({ query: "?app=events" }, () => true)) as [Sent];
    assert.deepEqual(
      data.functions.map((entry: { function: string }) => entry.function).toSorted(),
      upload.spec.functions.map(({ name }) => name).toSorted(),
    );
    for (const { app, queued, running } of data.functions) assert.deepEqual([app, queued, running], ["events", 0, 0]);
    assert.deepEqual(data.replicas, await server.api.replicas());
    assert.equal(data.deployments[0].deployment_id, "deployments:1");
    const [other] = (await events({ query: "?app=other" }, () => true)) as [Sent];
    assert.deepEqual([other.data.functions, other.data.replicas, other.data.deployments], [[], [], []]);
  });

  it("are filtered by type", async () => {
    let id = "";
    const seen = await events(
      { query: "?events=job,deployment" },
      (event) => ofJob(id, "succeeded")(event),
      async () => {
        id = (await server.api.spawn("events", "many", { args: [1] })).job_id;
      },
    );
    assert.deepEqual(new Set(seen.map(({ event }) => event)), new Set(["server.snapshot", "job"]));
  });

  it("refuse unknown types and ids that are none, and whoever is not the operator", async () => {
    for (const [path, part] of [
      ["/v1/events?events=job,jobs", '"jobs"'],
      ["/v1/events?after=12", '"12"'],
      ["/v1/events?since=1", "since"],
    ] as const) {
      const response = await server.api.fetch(path);
      const problem = (await response.json()) as { code: string; detail: string };
      assert.deepEqual([response.status, problem.code], [400, "bad_request"]);
      assert.ok(problem.detail.includes(part), problem.detail);
    }
    const response = await fetch(`${server.url}/v1/events`);
    assert.equal(response.status, 401);
    await response.body?.cancel();
  });
});
