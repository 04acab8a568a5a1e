import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FileNumbers, StoreNumbers } from "./numbers.ts";

describe("numbers of replicas", () => {
  it("ascend over restarts, orderly or not", () => {
    const dir = mkdtempSync(join(tmpdir(), "athanor-numbers-"));
    try {
      const path = join(dir, "replica-number");
      const first = new FileNumbers(path);
      assert.deepEqual([first.next(), first.next()], [1, 2]);
      first.close();
      const second = new FileNumbers(path);
      assert.equal(second.next(), 3);
      // Not closed: its process was killed.
      assert.ok(new FileNumbers(path).next() > 3);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it("of several servers are never the same, and are taken before they run out", async () => {
    let next = 1;
    let away = false;
    const store = {
      numberTake: async ({ count }: { count: number }) => {
        if (away) throw new Error("away");
        next += count;
        return next - count;
      },
    };
    const [a, b] = [await StoreNumbers.open(store), await StoreNumbers.open(store)];
    const given: number[] = [];
    for (let i = 0; i < 500; i++) {
      given.push(a.next(), b.next());
      await turn();
    }
    assert.equal(new Set(given).size, 1000);
    away = true;
    let taken = 0;
    const takeAll = (): never => {
      for (;;) {
        a.next();
        taken++;
      }
    };
    assert.throws(takeAll, { code: "store_unreachable" });
    assert.ok(taken >= 50, `${taken}`);
    await turn();
    away = false;
    assert.throws(() => a.next(), { code: "store_unreachable" });
    await turn();
    assert.ok(a.next() > 0);
  });
});
