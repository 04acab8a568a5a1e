import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Misses } from "./misses.ts";

/** A store whose answers come when the test says. */
function setup(p: { gapMs?: number; maxWaiting?: number } = {}) {
  const asks: { names: string[]; answer: PromiseWithResolvers<string[]> }[] = [];
  const waiters: (() => void)[] = [];
  const misses = new Misses<string>({
    ask: (names) => {
      const answer = Promise.withResolvers<string[]>();
      asks.push({ names, answer });
      for (const wake of waiters.splice(0)) wake();
      return answer.promise;
    },
    nameOf: (found) => found,
    gapMs: p.gapMs ?? 0,
    maxWaiting: p.maxWaiting ?? 10,
  });
  const ask = async (n: number) => {
    while (asks.length < n) await new Promise<void>((resolve) => waiters.push(resolve));
    return asks[n - 1] as (typeof asks)[number];
  };
  return { misses, asks, ask };
}

describe("a look for an app that is not served here", () => {
  it("is shared by those that wait for it, and begins after each of them asked", async () => {
    const { misses, asks, ask } = setup();
    const first = misses.look("a");
    const late = [misses.look("a"), misses.look("b"), misses.look("b")];
    const [one] = asks;
    assert.deepEqual(one?.names, ["a"]);
    one?.answer.resolve([]);
    assert.equal(await first, null);
    const two = await ask(2);
    assert.deepEqual(two.names, ["a", "b"]);
    two.answer.resolve(["b"]);
    assert.deepEqual(await Promise.all(late), [null, "b", "b"]);
  });

  it("is refused at once where too many wait already", async () => {
    const { misses, asks } = setup({ maxWaiting: 1 });
    const first = misses.look("a");
    const second = misses.look("b");
    assert.equal(await misses.look("c"), null);
    asks[0]?.answer.resolve(["a"]);
    assert.equal(await first, "a");
    void second;
  });

  it("says so where the store cannot be asked, and asks again for the next", async () => {
    const { misses, ask } = setup();
    const first = misses.look("a");
    (await ask(1)).answer.reject(new Error("away"));
    await assert.rejects(first, /away/);
    const second = misses.look("a");
    (await ask(2)).answer.resolve(["a"]);
    assert.equal(await second, "a");
  });
});
