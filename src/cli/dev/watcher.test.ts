import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Watcher } from "./watcher.ts";

describe("Watcher", () => {
  let dir: string;
  let watcher: Watcher;
  let told: string[][];
  let next: PromiseWithResolvers<string[]>;

  const at = (name: string): string => path.join(dir, name);
  /** What it tells of after the step. */
  const after = async (step: () => Promise<unknown>): Promise<string[]> => {
    next = Promise.withResolvers();
    await step();
    return (await next.promise).map((file) => path.relative(dir, file));
  };

  beforeEach(async () => {
    dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-watcher-")));
    told = [];
    next = Promise.withResolvers();
    watcher = new Watcher({
      onChange: (files) => {
        told.push(files);
        next.resolve(files);
      },
    });
    await writeFile(at("app.ts"), "1");
  });
  afterEach(async () => {
    watcher.close();
    await rm(dir, { recursive: true, force: true });
  });

  it("tells of a file that is written in place, and of one that another takes the place of", async () => {
    watcher.watch({ files: [at("app.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    assert.deepEqual(await after(() => writeFile(at("app.ts"), "2")), ["app.ts"]);
    await writeFile(at("app.ts~"), "3");
    assert.deepEqual(await after(() => rename(at("app.ts~"), at("app.ts"))), ["app.ts"]);
    assert.deepEqual(await after(() => writeFile(at("app.ts"), "4")), ["app.ts"]);
  });

  it("tells of several changes at once, and not of what it was not asked to watch", async () => {
    watcher.watch({ files: [at("app.ts"), at("b.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    const files = await after(() =>
      Promise.all([writeFile(at("notes.ts"), "1"), writeFile(at("app.ts"), "2"), writeFile(at("b.ts"), "1")]),
    );
    assert.deepEqual(files.toSorted(), ["app.ts", "b.ts"]);
    assert.equal(told.length, 1);
  });

  it("waits for a file whose folder is not there yet", async () => {
    const file = at("lib/deep/late.ts");
    watcher.watch({ files: [file], folders: [], since: Number.POSITIVE_INFINITY });
    assert.deepEqual(await after(() => mkdir(at("lib"))), ["lib"]);
    watcher.watch({ files: [file], folders: [], since: Number.POSITIVE_INFINITY });
    assert.deepEqual(await after(() => mkdir(at("lib/deep"))), ["lib/deep"]);
    watcher.watch({ files: [file], folders: [], since: Number.POSITIVE_INFINITY });
    assert.deepEqual(await after(() => writeFile(file, "1")), ["lib/deep/late.ts"]);
  });

  it("takes any new source in a folder that it watches as a whole, but no editor's own files", async () => {
    watcher.watch({ files: [at("app.ts")], folders: [dir], since: Number.POSITIVE_INFINITY });
    const files = await after(() =>
      Promise.all([writeFile(at("4913"), ""), writeFile(at(".app.ts.swp"), ""), writeFile(at("new.ts"), "1")]),
    );
    assert.deepEqual(files, ["new.ts"]);
  });

  it("watches a folder that was removed and made again", async () => {
    await mkdir(at("lib"));
    await writeFile(at("lib/a.ts"), "1");
    watcher.watch({ files: [at("app.ts"), at("lib/a.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    await after(() => rm(at("lib"), { recursive: true }));
    watcher.watch({ files: [at("app.ts"), at("lib/a.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    await after(() => mkdir(at("lib")));
    watcher.watch({ files: [at("app.ts"), at("lib/a.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    assert.deepEqual(await after(() => writeFile(at("lib/a.ts"), "2")), ["lib/a.ts"]);
  });

  it("tells of what changed before it was watched, and after the time that it is given", async () => {
    await writeFile(at("old.ts"), "1");
    await utimes(at("old.ts"), 1, 1);
    const files = await after(async () => {
      watcher.watch({ files: [at("old.ts"), at("app.ts")], folders: [], since: Date.now() - 60_000 });
    });
    assert.deepEqual(files, ["app.ts"]);
  });

  it("is closed twice, and tells no more", async () => {
    watcher.watch({ files: [at("app.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    watcher.close();
    watcher.close();
    watcher.watch({ files: [at("app.ts")], folders: [], since: Number.POSITIVE_INFINITY });
    await writeFile(at("app.ts"), "2");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(told, []);
  });
});
