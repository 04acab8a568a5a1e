import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { claimBlobFolder } from "./folder.ts";

function database(shared = true) {
  const kept = new Map<string, string>();
  return {
    shared,
    metaClaim: async ({ key, value }: { key: string; value: string }): Promise<string> => {
      if (!kept.has(key)) kept.set(key, value);
      return kept.get(key) as string;
    },
  };
}

function folder(): Disposable & { dir: string } {
  const dir = mkdtempSync(join(tmpdir(), "athanor-blob-folder-"));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}

const refused = { code: "blobs_not_shared" };

describe("the blob folder of a database", () => {
  it("is the one that its first server marked, for all that come, at once or later", async () => {
    using given = folder();
    const store = database();
    await Promise.all([1, 2, 3].map(() => claimBlobFolder({ dir: given.dir, store })));
    await claimBlobFolder({ dir: given.dir, store });
    assert.deepEqual(readdirSync(given.dir), ["store.json"]);
  });

  it("is refused where it is not the one that the others use, each time, and is left as it was", async () => {
    using given = folder();
    using other = folder();
    const store = database();
    await claimBlobFolder({ dir: given.dir, store });
    for (let i = 0; i < 2; i++) await assert.rejects(claimBlobFolder({ dir: other.dir, store }), refused);
    assert.deepEqual(readdirSync(other.dir), []);
    await claimBlobFolder({ dir: given.dir, store });
  });

  it("is refused to another database, which would clear away its files, and that one can have its own", async () => {
    using given = folder();
    using other = folder();
    await claimBlobFolder({ dir: given.dir, store: database() });
    const second = database();
    await assert.rejects(claimBlobFolder({ dir: given.dir, store: second }), refused);
    await claimBlobFolder({ dir: other.dir, store: second });
  });

  it("is refused to a server alone", async () => {
    using given = folder();
    await claimBlobFolder({ dir: given.dir, store: database(false) });
    await claimBlobFolder({ dir: given.dir, store: database() });
    await assert.rejects(claimBlobFolder({ dir: given.dir, store: database(false) }), refused);
  });

  it("is not one that holds the files of a server alone", async () => {
    using given = folder();
    mkdirSync(join(given.dir, "ab"));
    await assert.rejects(claimBlobFolder({ dir: given.dir, store: database() }), refused);
    await claimBlobFolder({ dir: given.dir, store: database(false) });
  });

  it("with a damaged mark is named", async () => {
    using given = folder();
    writeFileSync(join(given.dir, "store.json"), "{");
    await assert.rejects(claimBlobFolder({ dir: given.dir, store: database() }), { code: "config_invalid" });
  });
});
