import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StartTurns } from "./start-turns.ts";

const HOUR_MS = 3_600_000;

/** All that may begin now, in order. */
function taken<T>(turns: StartTurns<T>, over: Promise<unknown>): T[] {
  const all: T[] = [];
  for (let who = turns.next(); who !== null; who = turns.next()) {
    all.push(who);
    turns.begin(over);
  }
  return all;
}

describe("StartTurns", () => {
  it("gives so many turns and no more, to each in the order in which it asked", async () => {
    const freed: string[][] = [];
    const turns: StartTurns<string> = new StartTurns({
      max: 2,
      turnMs: HOUR_MS,
      freed: () => freed.push(taken(turns, later.promise)),
    });
    const [first, later] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    for (const who of ["a", "b", "a", "c", "d", "e"]) turns.ask(who);
    assert.deepEqual(taken(turns, first.promise), ["a", "b"]);
    turns.ask("a");
    first.reject(new Error("a start that failed frees its turn too"));
    await first.promise.catch(() => {});
    assert.deepEqual(freed, [["c"], ["d"]]);
    later.resolve();
    await later.promise;
    assert.deepEqual(freed, [["c"], ["d"], ["e"], ["a"]]);
    turns.clear();
  });

  it("takes a turn back from a start that takes long, once", async () => {
    const start = Promise.withResolvers<void>();
    let freed = 0;
    await new Promise<void>((resolve) => {
      const turns = new StartTurns<string>({
        max: 1,
        turnMs: 1,
        freed: () => {
          freed++;
          assert.equal(turns.next(), "b");
          resolve();
        },
      });
      turns.ask("a");
      turns.ask("b");
      assert.equal(turns.next(), "a");
      turns.begin(start.promise);
      assert.equal(turns.next(), null);
    });
    start.resolve();
    await start.promise;
    assert.equal(freed, 1);
  });

  it("lets nobody pass and nobody starve, whatever happens in whatever order", () => {
    const steps = fc.array(fc.oneof(fc.nat(5), fc.constant("begin"), fc.constant("end")), { maxLength: 60 });
    return fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3 }), steps, async (max, run) => {
        const turns = new StartTurns<number>({ max, turnMs: HOUR_MS, freed() {} });
        const underWay: (() => void)[] = [];
        let line: number[] = [];
        for (const step of run) {
          if (typeof step === "number") {
            turns.ask(step);
            if (!line.includes(step)) line.push(step);
          } else if (step === "end") {
            underWay.shift()?.();
            // `begin` hears of it one turn of the queue of promises later.
            await null;
          } else {
            const who = turns.next();
            assert.equal(who, underWay.length < max ? (line[0] ?? null) : null);
            if (who === null) continue;
            line = line.slice(1);
            const { promise, resolve } = Promise.withResolvers<void>();
            turns.begin(promise);
            underWay.push(resolve);
          }
        }
        for (const end of underWay) end();
        await null;
      }),
    );
  });
});
