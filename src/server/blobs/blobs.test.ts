import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { Blobs } from "./blobs.ts";
import { holdBlobs } from "./holds.ts";

async function open() {
  const dir = await mkdtemp(join(tmpdir(), "athanor-blobs-"));
  const blobs = new Blobs({ dir });
  await blobs.start();
  return { dir, blobs, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

const bytes = (text: string) => new TextEncoder().encode(text);
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
const files = async (dir: string) =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe("Blobs", () => {
  it("gives back what was put, whole, in ranges and by size", async () => {
    await using given = await open();
    const { blobs } = given;
    const data = randomBytes(300_000);
    const hash = await blobs.put(data);
    assert.equal(hash, sha256(data));
    assert.deepEqual(await blobs.get(hash), data);
    assert.equal(await blobs.size(hash), data.length);
    const whole = await blobs.open(hash);
    assert(whole && whole.sizeBytes === data.length);
    assert.deepEqual(await buffer(whole.body), data);
    const part = await blobs.open(hash, { start: 10, end: 19 });
    assert(part);
    assert.deepEqual(await buffer(part.body), data.subarray(10, 20));
    const empty = await blobs.put(new Uint8Array());
    assert.equal((await blobs.get(empty))?.length, 0);
  });

  it("keeps equal bytes once, put at once or one after the other", async () => {
    await using given = await open();
    const puts = Array.from({ length: 20 }, (_, i) => given.blobs.put(bytes(`file ${i % 2}`)));
    const hashes = new Set(await Promise.all(puts));
    await given.blobs.put(bytes("file 0"));
    assert.deepEqual((await files(given.dir)).sort(), [...hashes].sort());
  });

  it("knows nothing of absent blobs and of names that are no hash", async () => {
    await using given = await open();
    for (const name of ["a".repeat(64), "", "../../etc/passwd", "A".repeat(64), `${"a".repeat(63)}/`]) {
      assert.equal(await given.blobs.get(name), null);
      assert.equal(await given.blobs.size(name), null);
      assert.equal(await given.blobs.open(name), null);
      await given.blobs.remove([name]);
    }
  });

  it("replaces a file that is not whole, and removes what an interrupted write left", async () => {
    await using given = await open();
    const hash = await given.blobs.put(bytes("whole"));
    await writeFile(join(given.dir, hash.slice(0, 2), hash), "who");
    await given.blobs.put(bytes("whole"));
    assert.deepEqual(await given.blobs.get(hash), Buffer.from("whole"));
    await writeFile(join(given.dir, "tmp", "left-behind"), "half");
    await given.blobs.start();
    assert.deepEqual(await files(given.dir), [hash]);
  });

  it("sweeps what is old and needed by no job", async () => {
    await using given = await open();
    const { blobs, dir } = given;
    const [needed, old, fresh] = await Promise.all(["needed", "old", "fresh"].map((text) => blobs.put(bytes(text))));
    assert(needed && old && fresh);
    const now = Date.now();
    for (const hash of [needed, old]) await utimes(join(dir, hash.slice(0, 2), hash), 1, 1);
    const unreferenced = async ({ hashes }: { hashes: string[] }) => hashes.filter((hash) => hash !== needed);
    assert.equal(await blobs.sweep({ unreferenced, minAgeMs: 60_000, now }), 1);
    assert.deepEqual((await files(dir)).sort(), [needed, fresh].sort());
    // A put makes an old file count as new, since the job that names it is about to be stored.
    await blobs.put(bytes("needed"));
    assert.equal(await blobs.sweep({ unreferenced: async ({ hashes }) => hashes, minAgeMs: 60_000, now }), 0);
    await blobs.remove([needed, fresh, fresh]);
    assert.deepEqual(await files(dir), []);
  });

  it("clears nothing away while a copy is being made of the folder", async () => {
    await using given = await open();
    const { blobs, dir } = given;
    const hash = await blobs.put(bytes("old"));
    await utimes(join(dir, hash.slice(0, 2), hash), 1, 1);
    const sweep = () => blobs.sweep({ unreferenced: async ({ hashes }) => hashes, minAgeMs: 60_000, now: Date.now() });
    {
      await using _hold = await holdBlobs(dir);
      assert.equal(await sweep(), 0);
    }
    // Of a process that was killed.
    await writeFile(join(dir, "holds", "left"), "");
    assert.equal(await sweep(), 0);
    await utimes(join(dir, "holds", "left"), 1, 1);
    assert.equal(await sweep(), 1);
    assert.deepEqual(await files(dir), []);
  });

  it("in a folder of several servers, keep what another has put again between the look and the removal", async () => {
    await using given = await open();
    const { dir } = given;
    const [sweeper, other] = [new Blobs({ dir, shared: true }), new Blobs({ dir, shared: true })];
    const rounds = 200;
    const stop = new AbortController();
    const unreferenced = async ({ hashes }: { hashes: string[] }) => hashes;
    const sweeping = (async () => {
      while (!stop.signal.aborted) {
        await sweeper.sweep({ unreferenced, minAgeMs: 60_000, now: Date.now() });
        await new Promise(setImmediate);
      }
    })();
    for (let i = 0; i < rounds; i++) {
      const hash = await other.put(bytes("again"));
      assert.ok((await other.get(hash)) !== null, `round ${i}`);
      await utimes(join(dir, hash.slice(0, 2), hash), 1, 1).catch(() => {});
    }
    stop.abort();
    await sweeping;
  });

  it("leaves the writes that other servers have under way", async () => {
    await using given = await open();
    await writeFile(join(given.dir, "tmp", "under-way"), "half");
    await writeFile(join(given.dir, "tmp", "interrupted"), "half");
    await utimes(join(given.dir, "tmp", "interrupted"), 1, 1);
    await new Blobs({ dir: given.dir, shared: true }).start();
    assert.deepEqual(await files(given.dir), ["under-way"]);
  });

  it("answers storage_full where there is no room, and leaves nothing behind", async () => {
    await using given = await open();
    // A process whose files may not grow beyond a few blocks.
    const script = `
      process.on("SIGXFSZ", () => {});
      const { Blobs } = await import(process.argv[1]);
      await new Blobs({ dir: process.argv[2] }).put(new Uint8Array(1_000_000)).catch((error) => console.log(error.code));`;
    const node = [
      process.execPath,
      "--input-type=module",
      "-e",
      script,
      join(import.meta.dirname, "blobs.ts"),
      given.dir,
    ];
    const { stdout } = await promisify(execFile)("sh", ["-c", 'ulimit -f 8; exec "$@"', "sh", ...node]);
    assert.equal(stdout.trim(), "storage_full");
    assert.deepEqual(await files(given.dir), []);
  });
});
