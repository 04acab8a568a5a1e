/** A job's events as they are on the wire: every type with its data, cursors of both kinds, the window, snapshots. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { JobJson } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

before(async () => {
  server = await startTestServer();
  await server.api.deploy(await build({ entry: join(import.meta.dirname, "apps/events.ts") }));
});
after(() => server?.[Symbol.asyncDispose]());

interface Sent {
  id: number;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: each type of event has other data, which the tests look into
  data: any;
}

function parse(text: string): Sent[] {
  return text
    .split("\n\n")
    .filter((block) => block.startsWith("id: "))
    .map((block) => {
      const [, id, event, data] = /^id: (\d+)\nevent: (\S+)\ndata: (.*)$/.exec(block) ?? assert.fail(block);
      return { id: Number(id), event: event ?? "", data: JSON.parse(data ?? "") };
    });
}

/** The whole stream up to its close; with `until`, up to such an event. */
async function events(
  job: string,
  p: { query?: string; headers?: Record<string, string>; until?: string } = {},
): Promise<Sent[]> {
  const response = await server.api.fetch(`/v1/jobs/${job}/events${p.query ?? ""}`, { headers: p.headers ?? {} });
  if (response.status === 204) return [];
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (p.until !== undefined && text.includes(`event: ${p.until}\n`) && text.endsWith("\n\n")) break;
  }
  return parse(text);
}

const run = async (fn: string, args: number[] = []): Promise<string> =>
  (await server.api.run("events", fn, { args })).job_id;

describe("events", () => {
  it("have the data that each type is said to have", async () => {
    const job = await run("everything");
    const all = await events(job);
    assert.deepEqual(
      all.map(({ id }) => id),
      all.map((_, index) => index + 1),
    );
    const first = (name: string): Sent["data"] => all.find(({ event }) => event === name)?.data;
    assert.deepEqual(all[0], { id: 1, event: "job.queued", data: { position: 1 } });
    const running = all.filter(({ event }) => event === "job.running").map(({ data }) => data);
    assert.deepEqual(
      running.map(({ attempt }) => attempt),
      [1, 2],
    );
    for (const { replica_id, ...rest } of running) {
      assert.match(replica_id, /^replicas:\d+$/);
      assert.deepEqual(Object.keys(rest), ["attempt"]);
    }
    const logs = all.filter(({ event }) => event === "job.log").map(({ data }) => data);
    for (const [stream, line] of [
      ["stdout", "to stdout"],
      ["stderr", "to stderr"],
    ]) {
      const found = logs.filter((log) => log.stream === stream && log.line === line);
      assert.equal(found.length, 2, "one of each attempt");
      for (const { at } of found) assert.equal(new Date(at).toISOString(), at);
    }
    assert.deepEqual(first("job.progress"), { progress: 0.25, message: "a quarter" });
    assert.deepEqual(
      all.filter(({ event }) => event === "job.chunk").map(({ data }) => data),
      [1, 2].map((attempt) => ({ index: 0, value: { attempt } })),
    );
    const { error, ...retrying } = first("job.retrying");
    assert.deepEqual(retrying, { attempt: 1, delay_s: 0 });
    assert.equal(error.code, "handler_error");
    assert.match(error.message, /the first attempt fails/);
    assert.deepEqual(first("job.result"), { value: null });
    assert.deepEqual(all.at(-1)?.event, "job.end");
    assert.deepEqual(all.at(-1)?.data, { status: "succeeded" });
    const returned = await events(await run("returns"));
    assert.deepEqual(returned.at(-2)?.data, { value: "the result" });
  });

  it("hold each chunk, however fast they come: the generator waits, and none gives way", async () => {
    const id = (await server.api.spawn("events", "fast", { args: [5000] })).job_id;
    const all = await events(id);
    const chunks = all.filter(({ event }) => event === "job.chunk").map(({ data }) => data.index);
    // A watcher that is itself too slow is moved on by a reset; but every chunk has had its number.
    const resets = all.filter(({ event }) => event === "stream.reset");
    if (resets.length === 0) assert.equal(chunks.length, 5000);
    assert.equal(all.at(-1)?.id, 5004, "queued, running, 5000 chunks, result, end");
  });

  it("of a failed job end with its error, and without a result", async () => {
    const id = (await server.api.spawn("events", "many-then-waits", { args: [1] })).job_id;
    await events(id, { until: "job.chunk" });
    await server.api.cancel(id);
    const all = await events(id);
    assert.ok(!all.some(({ event }) => event === "job.result"));
    assert.equal(all.at(-1)?.event, "job.end");
    assert.equal(all.at(-1)?.data.status, "cancelled");
    assert.equal(all.at(-1)?.data.error.code, "cancelled");
  });
});

describe("a cursor", () => {
  it("is resumed from by ?after and by Last-Event-ID alike, at every event", async () => {
    const job = await run("everything");
    const all = await events(job);
    for (const { id } of all) {
      const rest = all.slice(id);
      assert.deepEqual(await events(job, { query: `?after=${id}` }), rest);
      assert.deepEqual(await events(job, { headers: { "last-event-id": String(id) } }), rest);
    }
  });

  it("of Last-Event-ID wins over the one in the URL, as of a browser that reconnects", async () => {
    const job = await run("returns");
    const all = await events(job);
    assert.deepEqual(await events(job, { query: "?after=0", headers: { "last-event-id": "2" } }), all.slice(2));
  });

  it("behind the window is moved on by stream.reset, and the rest follows without a gap", async () => {
    const job = await run("many", [50]);
    const json = await server.api.job(job);
    for (const [requested, p] of [
      [1, { query: "?after=1" }],
      [3, { headers: { "last-event-id": "3" } }],
      [0, {}],
    ] as [number, { query?: string; headers?: Record<string, string> }][]) {
      const [reset, ...rest] = await events(job, p);
      assert.equal(reset?.event, "stream.reset");
      const { earliest, latest } = reset.data;
      assert.equal(latest, 54, "queued, running, 50 chunks, result, end");
      assert.deepEqual(reset, {
        id: earliest - 1,
        event: "stream.reset",
        data: { requested, earliest, latest, job: json },
      });
      assert.deepEqual(
        rest.map(({ id }) => id),
        Array.from({ length: latest - earliest + 1 }, (_, index) => earliest + index),
      );
      assert.ok(rest.length >= 5 && rest.length <= 7, `${rest.length} events are kept of a window of 5`);
      assert.deepEqual(
        rest.slice(-2).map(({ event }) => event),
        ["job.result", "job.end"],
      );
      // Who resumes from the reset itself gets the same rest, and no second reset.
      assert.deepEqual(await events(job, { query: `?after=${reset.id}` }), rest);
    }
  });

  it("behind the window of a running job is moved on too, and the stream stays live", async () => {
    const id = (await server.api.spawn("events", "many-then-waits", { args: [50] })).job_id;
    // Nobody watches until it waits: what it has sent is in the store alone.
    while ((await server.api.job(id)).message !== "waiting");
    const watching = events(id, { query: "?after=2" });
    await server.api.cancel(id);
    const [reset, ...rest] = await watching;
    assert.equal(reset?.event, "stream.reset");
    assert.equal(reset.data.requested, 2);
    assert.ok(["running", "cancelled"].includes((reset.data.job as JobJson).status));
    assert.deepEqual(
      rest.map(({ id: number }) => number),
      rest.map((_, index) => reset.data.earliest + index),
    );
    assert.equal(rest.at(-1)?.event, "job.end");
  });
});

describe("a filter", () => {
  it("lets through what it names and the end, under the numbers of the log, and can be resumed", async () => {
    const job = await run("everything");
    const all = await events(job);
    const query = "?events=job.progress,job.chunk";
    const some = all.filter(({ event }) => ["job.progress", "job.chunk", "job.end"].includes(event));
    assert.deepEqual(await events(job, { query }), some);
    for (const [index, { id }] of some.entries())
      assert.deepEqual(await events(job, { query, headers: { "last-event-id": String(id) } }), some.slice(index + 1));
    assert.deepEqual(await events(job, { query: "?events=job.end" }), all.slice(-1));
    const [snapshot, ...rest] = await events(job, { query: "?snapshot=true&events=job.result" });
    assert.equal(snapshot?.event, "job.snapshot");
    assert.deepEqual(rest, all.slice(-2));
  });

  it("does the same for live events", async () => {
    const id = (await server.api.spawn("events", "many-then-waits", { args: [3] })).job_id;
    const watching = events(id, { query: "?events=job.progress" });
    await events(id, { until: "job.progress" });
    await server.api.cancel(id);
    assert.deepEqual(
      (await watching).map(({ event }) => event),
      ["job.progress", "job.end"],
    );
  });

  it("refuses a name that is no event's, and says which it is", async () => {
    const job = await run("returns");
    const response = await server.api.fetch(`/v1/jobs/${job}/events?events=job.result,job.results`);
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    assert.deepEqual([response.status, code], [400, "bad_request"]);
    assert.match(detail, /"job\.results".*job\.progress/);
  });
});

describe("a result that is kept as a file", () => {
  it("is whole in its event, for those who wait for it and those who come later", async () => {
    const id = (await server.api.spawn("events", "large", { args: [600_000] })).job_id;
    const live = await events(id);
    assert.equal(live.at(-2)?.event, "job.result");
    assert.deepEqual(live.at(-2)?.data, { value: { text: "x".repeat(600_000) } });
    assert.deepEqual(await events(id, { query: "?events=job.result" }), live.slice(-2));
  });
});

describe("a snapshot", () => {
  it("is the job's JSON, comes first, and is followed by what came after it", async () => {
    const job = await run("everything");
    const [snapshot, ...rest] = await events(job, { query: "?snapshot=true" });
    assert.equal(snapshot?.event, "job.snapshot");
    assert.deepEqual(snapshot.data, await server.api.job(job));
    assert.deepEqual(
      rest.map(({ event }) => event),
      ["job.result", "job.end"],
    );
    const whole = await events(job, { query: "?snapshot=true&after=0" });
    assert.equal(whole[0]?.event, "job.snapshot");
    assert.deepEqual(whole.slice(1), await events(job));
  });

  it("of a running job shows where it stands, and the live events go on from its id", async () => {
    const id = (await server.api.spawn("events", "many-then-waits", { args: [3] })).job_id;
    let snapshot: Sent | undefined;
    do [snapshot] = await events(id, { query: "?snapshot=true", until: "job.snapshot" });
    while (snapshot?.data.message !== "waiting");
    assert.equal(snapshot?.data.status, "running");
    const watching = events(id, { query: "?snapshot=true" });
    await server.api.cancel(id);
    const [first, ...rest] = await watching;
    assert.deepEqual(
      rest.map((event) => event.id),
      rest.map((_, index) => (first?.id ?? 0) + 1 + index),
    );
    assert.equal(rest.at(-1)?.event, "job.end");
  });
});

describe("a job that floods its log", () => {
  /** Line numbers go up by one, but where a line says how many are missing; a reset may stand for any number. */
  function checkLines(sent: Sent[]): number {
    let last: number | null = null;
    let missing = 0;
    for (const { event, data } of sent) {
      if (event === "stream.reset") last = null;
      if (event !== "job.log") continue;
      const dropped = /^\[athanor\] (\d+) earlier events/.exec(data.line)?.[1];
      if (dropped !== undefined) missing += Number(dropped);
      else {
        const number = Number(/^line (\d+)$/.exec(data.line)?.[1]);
        if (last !== null) assert.equal(number, last + missing + 1, `after line ${last} with ${missing} missing`);
        last = number;
        missing = 0;
      }
    }
    return last ?? assert.fail("there is no line");
  }

  it("keeps the newest lines, says how many are missing where, and holds up no other", async () => {
    const id = (await server.api.spawn("events", "flood")).job_id;
    const live = events(id);
    await events(id, { until: "job.log" });
    for (let n = 0; n < 50; n++) assert.equal((await server.api.run("events", "returns")).status, "succeeded");
    assert.equal((await server.api.job(id)).status, "running");
    await server.api.cancel(id);
    const last = checkLines(await live);
    const kept = await events(id);
    assert.equal(checkLines(kept), last, "the last line that it wrote");
    assert.ok(last > 2000, `it wrote ${last} lines`);
    const [reset, ...rest] = kept;
    assert.equal(reset?.event, "stream.reset");
    assert.ok(rest.length <= 1000 + 2, `${rest.length} of a window of 1000, and the end`);
    assert.deepEqual(
      rest.map((event) => event.id),
      rest.map((_, index) => reset.data.earliest + index),
    );
  });
});
