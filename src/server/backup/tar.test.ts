import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";
import { pack, type TarEntry, unpack } from "./tar.ts";

const files = {
  empty: Buffer.alloc(0),
  "a/one": Buffer.from("1"),
  "a/block": randomBytes(512),
  long: randomBytes(70_001),
};

async function* entries(): AsyncGenerator<TarEntry> {
  for (const [name, bytes] of Object.entries(files)) yield { name, size: bytes.length, body: Readable.from([bytes]) };
}

const packed = (): Promise<Buffer> => buffer(Readable.from(pack(entries())));

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpacked(bytes: AsyncIterable<Uint8Array>): Promise<Record<string, Buffer>> {
  const found: Record<string, Buffer> = {};
  for await (const { name, body } of unpack(bytes)) found[name] = await buffer(body);
  return found;
}

describe("an archive", () => {
  it("gives back what went in, however it is cut into pieces", async () => {
    const archive = await packed();
    for (const size of [1, 511, 512, 10_000, archive.length])
      assert.deepEqual(await unpacked(inPieces(archive, size)), files, `pieces of ${size}`);
  });

  it("is one that tar reads, and that tar could have written", async () => {
    const dir = mkdtempSync(join(tmpdir(), "athanor-tar-"));
    try {
      writeFileSync(join(dir, "archive.tar"), await packed());
      const list = execFileSync("tar", ["tf", "archive.tar"], { cwd: dir, encoding: "utf8" });
      assert.deepEqual(list.trim().split("\n"), Object.keys(files));
      execFileSync("tar", ["xf", "archive.tar"], { cwd: dir });
      for (const [name, bytes] of Object.entries(files)) assert.deepEqual(readFileSync(join(dir, name)), bytes);
      execFileSync("tar", ["--format=ustar", "-cf", "again.tar", ...Object.keys(files)], { cwd: dir });
      assert.deepEqual(await unpacked(inPieces(readFileSync(join(dir, "again.tar")), 777)), files);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("holds files of more than 8 GiB", async () => {
    const size = 9 * 1024 ** 3;
    const [header] = await Array.fromAsync(
      (async function* () {
        for await (const part of pack(
          (async function* () {
            yield { name: "large", size, body: Readable.from([]) };
          })(),
        )) {
          yield part;
          return;
        }
      })(),
    );
    for await (const entry of unpack(Readable.from([header]))) {
      assert.equal(entry.size, size);
      break;
    }
  });

  it("is refused where it is cut short, or damaged, or holds anything but files", async () => {
    const archive = await packed();
    const invalid = { code: "backup_invalid" };
    for (const length of [10, 600, archive.length - 1024 - 300])
      await assert.rejects(unpacked(Readable.from([archive.subarray(0, length)])), invalid, `cut at ${length}`);
    const damaged = Buffer.from(archive);
    damaged[3] = 0x7a;
    await assert.rejects(unpacked(Readable.from([damaged])), invalid);
    const linked = execFileSync("sh", [
      "-c",
      'cd "$(mktemp -d)" && ln -s /etc/passwd a && tar cf - a && rm a && rmdir "$PWD"',
    ]);
    await assert.rejects(unpacked(Readable.from([linked])), invalid);
  });

  it("is not written where a file has changed its size", async () => {
    const changed = async function* () {
      yield { name: "a", size: 3, body: Readable.from([Buffer.from("1234")]) };
    };
    await assert.rejects(buffer(Readable.from(pack(changed()))), /4 bytes/);
  });
});
