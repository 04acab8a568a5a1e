import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import type { WatchEvent } from "../../protocol/event.ts";
import { Api } from "./api.ts";
import { watchJob } from "./job.ts";

type Answer = (req: IncomingMessage, res: ServerResponse, connection: number) => void;

/** A server that speaks the protocol on real sockets, and breaks it as told. */
async function listen(answer: Answer) {
  const requests: { cursor: number | null; snapshot: boolean }[] = [];
  const server = createServer((req, res) => {
    const lastId = req.headers["last-event-id"];
    const query = new URL(req.url ?? "", "http://x").searchParams;
    requests.push({ cursor: lastId === undefined ? null : Number(lastId), snapshot: query.get("snapshot") === "true" });
    answer(req, res, requests.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { api: new Api({ url }), requests, [Symbol.asyncDispose]: close };
}

function frame(id: number, event: string, data: unknown): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The log of a job: lines with characters of several bytes, then the end. */
function logOf(events: number): string[] {
  const lines = Array.from({ length: events - 1 }, (_, index) =>
    frame(index + 1, "job.log", { stream: "stdout", line: `zeile ${index + 1} – ü 🙂`, at: "2026-01-01T00:00:00Z" }),
  );
  return [...lines, frame(events, "job.end", { status: "succeeded" })];
}

function begin(res: ServerResponse): void {
  res.writeHead(200, { "content-type": "text/event-stream" });
}

function problem(res: ServerResponse, error: AthanorError): void {
  res.writeHead(error.status, { "content-type": "application/problem+json" }).end(JSON.stringify(error.toProblem()));
}

async function collect(stream: AsyncIterable<WatchEvent>): Promise<WatchEvent[]> {
  return Array.fromAsync(stream);
}

const idsTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test("a connection cut at any byte loses no event and doubles none", async () => {
  const log = logOf(25);
  await using server = await listen((req, res, connection) => {
    begin(res);
    const rest = Buffer.from(log.slice(Number(req.headers["last-event-id"] ?? 0)).join(""));
    // One event passes whole, and the next one is cut a few bytes later on each connection.
    const cut = Buffer.byteLength(log[0] ?? "") + connection * 5;
    res.write(rest.subarray(0, cut), () => (cut < rest.length ? res.destroy() : res.end()));
  });
  const events = await collect(watchJob(server.api, "jobs:1"));
  assert.deepEqual(
    events.map((event) => event.id),
    idsTo(25),
  );
  assert.equal(events.at(-1)?.event, "job.end");
  const third = events[2];
  assert.ok(third?.event === "job.log" && third.data.line === "zeile 3 – ü 🙂");
  assert.ok(server.requests.length > 5, `only ${server.requests.length} connections were needed`);
});

test("events that a server sends again are not seen twice, and a clean early end is resumed as well", async () => {
  const log = logOf(6);
  await using server = await listen((_req, res, connection) => {
    begin(res);
    res.end(log.slice(0, connection * 3).join(""));
  });
  assert.deepEqual(
    (await collect(watchJob(server.api, "jobs:1"))).map((event) => event.id),
    idsTo(6),
  );
  assert.deepEqual(
    server.requests.map((request) => request.cursor),
    [null, 3],
  );
});

test("a snapshot is asked for until it has come, and without a cursor the stream goes on from it", async () => {
  const log = logOf(5);
  const snapshot = frame(3, "job.snapshot", { job_id: "jobs:1" });
  await using server = await listen((_req, res, connection) => {
    begin(res);
    if (connection === 1) res.write(snapshot.slice(0, 20), () => res.destroy());
    else if (connection === 2) res.write(snapshot, () => res.destroy());
    else res.end(log.slice(3).join(""));
  });
  const events = await collect(watchJob(server.api, "jobs:1", { snapshot: true }));
  assert.deepEqual(
    events.map((event) => [event.id, event.event]),
    [
      [3, "job.snapshot"],
      [4, "job.log"],
      [5, "job.end"],
    ],
  );
  assert.deepEqual(server.requests, [
    { cursor: null, snapshot: true },
    { cursor: null, snapshot: true },
    { cursor: 3, snapshot: false },
  ]);
});

test("with a cursor, a snapshot is shown and the events since the cursor still come", async () => {
  await using server = await listen((_req, res) => {
    begin(res);
    res.end(frame(4, "job.snapshot", {}) + logOf(5).slice(1).join(""));
  });
  const events = await collect(watchJob(server.api, "jobs:1", { snapshot: true, after: 1 }));
  assert.deepEqual(
    events.map((event) => event.id),
    [4, 2, 3, 4, 5],
  );
});

test("a reset moves the cursor on", async () => {
  const log = logOf(9);
  await using server = await listen((_req, res, connection) => {
    begin(res);
    const reset = frame(6, "stream.reset", { requested: 0, earliest: 7, latest: 9, job: {} });
    if (connection === 1) res.write(reset, () => res.destroy());
    else res.end(log.slice(6).join(""));
  });
  const events = await collect(watchJob(server.api, "jobs:1", { after: 0 }));
  assert.deepEqual(
    events.map((event) => event.id),
    [6, 7, 8, 9],
  );
  assert.deepEqual(
    server.requests.map((request) => request.cursor),
    [0, 6],
  );
});

test("a refusal is final, also after a break", async () => {
  await using server = await listen((_req, res, connection) => {
    if (connection > 1) return problem(res, new AthanorError("job_not_found", "there is no job jobs:1"));
    begin(res);
    res.write(logOf(3)[0] as string, () => res.destroy());
  });
  const seen: number[] = [];
  await assert.rejects(
    async () => {
      for await (const event of watchJob(server.api, "jobs:1")) seen.push(event.id);
    },
    { code: "job_not_found", detail: "there is no job jobs:1" },
  );
  assert.deepEqual(seen, [1]);
  assert.equal(server.requests.length, 2);
});

test("a server that stops is waited for once it was reached", async () => {
  const log = logOf(3);
  await using server = await listen((_req, res, connection) => {
    if (connection === 2) return problem(res, new AthanorError("shutting_down", "the server is stopping"));
    begin(res);
    if (connection === 1) res.write(log[0] as string, () => res.destroy());
    else res.end(log.slice(1).join(""));
  });
  assert.deepEqual(
    (await collect(watchJob(server.api, "jobs:1"))).map((event) => event.id),
    [1, 2, 3],
  );
});

test("a server that was never reached is an error at once", async () => {
  const url = await (async () => {
    await using server = await listen(() => {});
    return server.api.url;
  })();
  await assert.rejects(collect(watchJob(new Api({ url }), "jobs:1")), { code: "server_unreachable" });
});

test("job.end ends it though the server stays on, and the connection is given up", async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await listen((_req, res) => {
    begin(res);
    res.on("close", closed.resolve);
    res.write(`${logOf(2).join("")}: heartbeat\n\n`);
  });
  assert.equal((await collect(watchJob(server.api, "jobs:1"))).length, 2);
  await closed.promise;
});

test("an abort ends it with its reason, while reading and while waiting", async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await listen((_req, res) => {
    begin(res);
    res.on("close", closed.resolve);
    res.write(logOf(3)[0] as string);
  });
  const controller = new AbortController();
  const reason = new Error("enough");
  await assert.rejects(async () => {
    for await (const event of watchJob(server.api, "jobs:1", { signal: controller.signal })) {
      assert.equal(event.id, 1);
      controller.abort(reason);
    }
  }, reason);
  await closed.promise;
  await assert.rejects(collect(watchJob(server.api, "jobs:1", { signal: AbortSignal.abort(reason) })), reason);
});

test("leaving the loop closes the connection", async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await listen((_req, res) => {
    begin(res);
    res.on("close", closed.resolve);
    res.write(logOf(3).slice(0, 2).join(""));
  });
  for await (const _event of watchJob(server.api, "jobs:1")) break;
  await closed.promise;
});

test("a filtered stream resumes from where it has been told it is, and asks for the same types again", async () => {
  const asked: [events: string | null, cursor: string | undefined][] = [];
  await using server = await listen((req, res, connection) => {
    const query = new URL(req.url ?? "", "http://x").searchParams;
    asked.push([query.get("events"), req.headers["last-event-id"] as string | undefined]);
    begin(res);
    if (connection === 1)
      res.end(`${frame(3, "job.progress", { progress: 0.5, message: null })}:900\nid: 900\n\n:\n\n`);
    else res.end(frame(950, "job.end", { status: "succeeded" }));
  });
  const events = await collect(watchJob(server.api, "jobs:1", { events: ["job.progress"] }));
  assert.deepEqual(
    events.map(({ id }) => id),
    [3, 950],
  );
  assert.deepEqual(asked, [
    ["job.progress", undefined],
    ["job.progress", "900"],
  ]);
});

test("a cursor at the end of an ended job ends at once", async () => {
  await using server = await listen((_req, res) => res.writeHead(204).end());
  assert.deepEqual(await collect(watchJob(server.api, "jobs:1", { after: 6 })), []);
  assert.equal(server.requests.length, 1);
});
