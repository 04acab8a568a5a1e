import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { LogLine } from "../../protocol/wire.ts";
import { ReplicaLogs } from "./logs.ts";

const log = {
  debug() {},
  info() {},
  warn: (fields: object, text: string) => assert.fail(`${text} ${JSON.stringify(fields)}`),
  error() {},
};

const line = (text: string, more: Partial<LogLine> = {}): LogLine => ({
  at: "2026-01-01T00:00:00.000Z",
  replica_id: "replicas:1",
  function: "f",
  job_id: null,
  stream: "stdout",
  line: text,
  ...more,
});

const texts = (lines: LogLine[]): string[] => lines.map(({ line }) => line);

describe("what replicas print", () => {
  let root: string;
  let dir: string;
  let n = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "athanor-logs-"));
  });
  after(() => rm(root, { recursive: true, force: true }));
  beforeEach(() => {
    dir = join(root, String(++n));
  });

  async function opened(limits: ConstructorParameters<typeof ReplicaLogs>[0]["limits"] = {}): Promise<ReplicaLogs> {
    const logs = new ReplicaLogs({ dir, log, limits });
    await logs.start();
    return logs;
  }

  it("is kept in order, by deployment, and read back by function and stream, also by the next server", async () => {
    const logs = await opened();
    logs.append(1, line("a"));
    logs.append(2, line("other"));
    logs.append(1, line("b", { function: "g" }));
    logs.append(1, line("c", { stream: "stderr" }));
    assert.deepEqual(texts(await logs.tail(1, { limit: 9 })), ["a", "b", "c"]);
    assert.deepEqual(texts(await logs.tail(1, { limit: 9, function: "f" })), ["a", "c"]);
    assert.deepEqual(texts(await logs.tail(1, { limit: 1 })), ["c"]);
    assert.deepEqual(await logs.lastStderr(1, 9), ["c"]);
    await logs.flush();
    const next = await opened();
    next.append(1, line("d"));
    assert.deepEqual(texts(await next.tail(1, { limit: 2 })), ["c", "d"]);
    assert.deepEqual(await next.tail(3, { limit: 2 }), []);
  });

  it("fills two files of bounded size, the newest lines in them", async () => {
    const maxFileBytes = 2000;
    const logs = await opened({ maxFileBytes });
    for (let i = 0; i < 200; i++) {
      logs.append(1, line(`line ${i}`));
      await logs.flush();
    }
    assert.deepEqual((await readdir(dir)).toSorted(), ["1.1.ndjson", "1.ndjson"]);
    for (const name of await readdir(dir)) assert.ok((await stat(join(dir, name))).size <= maxFileBytes);
    const kept = texts(await logs.tail(1, { limit: 1000 }));
    assert.ok(kept.length > 10);
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, i) => `line ${200 - kept.length + i}`),
    );
  });

  it("that comes faster than the disk takes it is dropped, and a line says how much", async () => {
    const logs = await opened({ maxPendingBytes: 1000 });
    for (let i = 0; i < 100; i++) logs.append(1, line(`line ${i}`));
    const kept = texts(await logs.tail(1, { limit: 1000 }));
    const dropped = 100 - (kept.length - 1);
    assert.ok(dropped > 50);
    assert.equal(kept.at(-1), `[athanor] ${dropped} lines came too fast and were not kept`);
  });

  it("is followed from where the tail ends, with no gap and no double, while lines come", async () => {
    const logs = await opened();
    const left = new AbortController();
    let sent = 0;
    const write = (count: number): void => {
      for (let i = 0; i < count; i++) logs.append(1, line(String(sent++)));
    };
    write(50);
    const followed: string[] = [];
    const tailing = logs.tail(1, { limit: 1e6 }, { line: (each) => followed.push(each.line), signal: left.signal });
    let read: LogLine[] | null = null;
    void tailing.then((lines) => {
      read = lines;
    });
    while (read === null) {
      write(3);
      await turn();
    }
    write(50);
    const all = [...texts(await tailing), ...followed];
    assert.deepEqual(
      all,
      Array.from({ length: sent }, (_, i) => String(i)),
    );
    left.abort();
    write(1);
    assert.equal(all.length, sent - 1);
    await logs.flush();
  });

  it("says the last words of replicas that are being ended", async () => {
    const logs = await opened();
    const ended = Promise.withResolvers<void>();
    logs.open(1, ended.promise);
    const words = logs.lastStderr(1, 5);
    await turn();
    logs.append(1, line("last", { stream: "stderr" }));
    ended.resolve();
    assert.deepEqual(await words, ["last"]);
  });

  it("takes so much of the disk and no more: the oldest deployments that run nothing lose theirs", async () => {
    const logs = await opened({ maxBytes: 250 });
    for (const name of ["1.ndjson", "1.1.ndjson", "2.ndjson", "3.ndjson", "9.ndjson"])
      await writeFile(join(dir, name), "x".repeat(100));
    logs.open(1, new Promise(() => {}));
    await logs.prune((deployment) => deployment !== 9);
    assert.deepEqual((await readdir(dir)).toSorted(), ["1.1.ndjson", "1.ndjson"]);
    assert.equal((await readFile(join(dir, "1.ndjson"), "utf8")).length, 100);
    await writeFile(join(dir, "5.ndjson"), "");
    await logs.prune(() => true);
    assert.ok((await readdir(dir)).includes("5.ndjson"));
  });
});
