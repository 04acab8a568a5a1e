import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { deploymentOf, functionSpec } from "../../../test/harness/specs.ts";
import { Blobs } from "../blobs/blobs.ts";
import { lockDataDir } from "../lock.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { blobName } from "./archive.ts";
import { backUp } from "./backup.ts";
import { restore } from "./restore.ts";
import { pack, type TarEntry, unpack } from "./tar.ts";

/** A data folder with one deployment, whose upload is needed, and a file that nothing needs. */
async function given() {
  const root = mkdtempSync(join(tmpdir(), "athanor-backup-"));
  const dataDir = join(root, "data");
  mkdirSync(dataDir);
  const blobsDir = join(dataDir, "blobs");
  const blobs = new Blobs({ dir: blobsDir });
  await blobs.start();
  const needed = await blobs.put(randomBytes(100_000));
  const unneeded = await blobs.put(randomBytes(10));
  await using store = await openSqliteStore({ path: join(dataDir, "athanor.db") });
  const { spec } = deploymentOf(1, [functionSpec("infer")]);
  const { deployment } = await store.deploymentInsert({ app: "demo", digest: "d", spec, uploadBlob: needed, now: 1 });
  await store.deploymentActivate({ deployment, schedules: [], now: 1 });
  writeFileSync(join(dataDir, "secret"), "the secret\n", { mode: 0o600 });
  return {
    root,
    dataDir,
    blobsDir,
    needed,
    unneeded,
    file: join(root, "backup.tar.gz"),
    target: join(root, "restored"),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

type Given = Awaited<ReturnType<typeof given>>;
const write = (p: Given, force = false) => backUp({ ...p, force });
const read = (p: Given, force = false) => restore({ file: p.file, dataDir: p.target, force });

/** The archive with its entries changed; one that is null is left out. */
async function rewrite(file: string, change: (name: string, bytes: Buffer) => [string, Buffer] | null): Promise<void> {
  const found: [string, Buffer][] = [];
  for await (const { name, body } of unpack(Readable.from([gunzipSync(readFileSync(file))]))) {
    const changed = change(name, await buffer(body));
    if (changed !== null) found.push(changed);
  }
  const entries = async function* (): AsyncGenerator<TarEntry> {
    for (const [name, bytes] of found) yield { name, size: bytes.length, body: Readable.from([bytes]) };
  };
  writeFileSync(file, gzipSync(await buffer(Readable.from(pack(entries())))));
}

describe("a backup", () => {
  it("restores what it was made of, without what nothing needs, for its owner alone", async () => {
    using p = await given();
    const report = await write(p);
    assert.deepEqual([report.blobs, report.problems], [1, []]);
    assert.equal(statSync(p.file).size, report.bytes);
    assert.equal(statSync(p.file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(p.root).sort(), ["backup.tar.gz", "data"]);
    const restored = await read(p);
    assert.deepEqual([restored.blobs, restored.replaced, restored.problems], [1, null, []]);
    assert.equal(readFileSync(join(p.target, "secret"), "utf8"), "the secret\n");
    assert.equal(statSync(join(p.target, "secret")).mode & 0o777, 0o600);
    assert.ok(existsSync(join(p.target, blobName(p.needed))));
    assert.ok(!existsSync(join(p.target, blobName(p.unneeded))));
    await using store = await openSqliteStore({ path: join(p.target, "athanor.db") });
    assert.equal((await store.deploymentListLive())[0]?.uploadBlob, p.needed);
  });

  it("is made while the database is in use, as of one moment", async () => {
    using p = await given();
    await using store = await openSqliteStore({ path: join(p.dataDir, "athanor.db") });
    const { spec } = deploymentOf(1, [functionSpec("infer")]);
    let made = 1;
    const before = made;
    let done = false;
    const writing = (async () => {
      for (; !done; made++) await store.deploymentInsert({ app: "demo", digest: "d", spec, uploadBlob: null, now: 1 });
    })();
    await write(p);
    done = true;
    await writing;
    assert.deepEqual((await read(p)).problems, []);
    await using restored = await openSqliteStore({ path: join(p.target, "athanor.db") });
    const count = (await restored.deploymentList({ limit: 500 }))[0]?.deployment ?? 0;
    assert.ok(count >= before && count <= made, `${before} <= ${count} <= ${made}`);
  });

  it("is not written over another unless it is told to, and says what is wrong with the data", async () => {
    using p = await given();
    await write(p);
    await assert.rejects(write(p), { code: "config_invalid" });
    rmSync(join(p.dataDir, blobName(p.needed)));
    const [problem] = (await write(p, true)).problems;
    assert.match(problem ?? "", new RegExp(p.needed));
    assert.match((await read(p)).problems[0] ?? "", new RegExp(p.needed));
  });

  it("needs the data folder of a server with a database in it", async () => {
    using p = await given();
    await assert.rejects(backUp({ ...p, dataDir: p.root, force: false }), { code: "config_invalid" });
    writeFileSync(join(p.blobsDir, "store.json"), '{"store":"a","folder":"b"}');
    await assert.rejects(backUp({ ...p, dataDir: p.root, force: false }), { code: "backup_unsupported" });
    assert.deepEqual(readdirSync(p.root), ["data"]);
  });

  it("goes into an empty folder, or with force into another, whose content is kept aside", async () => {
    using p = await given();
    await write(p);
    mkdirSync(p.target);
    writeFileSync(join(p.target, "athanor.db"), "older");
    await assert.rejects(read(p), { code: "data_dir_not_empty" });
    const { replaced } = await read(p, true);
    assert.equal(readFileSync(join(replaced ?? "", "athanor.db"), "utf8"), "older");
    using _lock = lockDataDir(p.target);
    await assert.rejects(read(p, true), { code: "data_dir_locked" });
  });

  it("that is no backup, or damaged, is refused, and the folder left as it was", async () => {
    using p = await given();
    const cases: [string, () => void | Promise<void>][] = [
      ["no gzip", () => writeFileSync(p.file, "no gzip")],
      ["cut short", () => writeFileSync(p.file, readFileSync(p.file).subarray(0, 20_000))],
      ["without a database", () => rewrite(p.file, (name, bytes) => (name === "athanor.db" ? null : [name, bytes]))],
      ["without a manifest", () => rewrite(p.file, (name, bytes) => (name === "manifest.json" ? null : [name, bytes]))],
      [
        "of a later format",
        () => rewrite(p.file, (name, bytes) => [name, name === "manifest.json" ? Buffer.from('{"format":2}') : bytes]),
      ],
      [
        "a file out of the folder",
        () => rewrite(p.file, (name, bytes) => [name === "secret" ? "../secret" : name, bytes]),
      ],
      [
        "a blob with other content",
        () => rewrite(p.file, (name, bytes) => [name, name.startsWith("blobs/") ? Buffer.from("other") : bytes]),
      ],
    ];
    for (const [what, damage] of cases) {
      await write(p, true);
      await damage();
      await assert.rejects(read(p), { code: "backup_invalid" }, what);
      assert.deepEqual(
        readdirSync(p.target).filter((name) => !name.startsWith("lock.db")),
        [],
        what,
      );
    }
    await assert.rejects(restore({ file: join(p.root, "none"), dataDir: p.target, force: false }), {
      code: "config_invalid",
    });
  });
});
