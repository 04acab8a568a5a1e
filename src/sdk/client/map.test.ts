import assert from "node:assert/strict";
import { test } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import { type Inputs, JobFailedError, type MapOptions } from "../handle.ts";
import { mapCalls, type Outcome } from "./map.ts";

/** Calls that end when the test says so. */
class Calls {
  readonly started: unknown[] = [];
  readonly cancelled: unknown[] = [];
  readonly #open = new Map<unknown, PromiseWithResolvers<unknown>>();
  #changed = Promise.withResolvers<void>();

  map<T>(inputs: Inputs<T>, options: MapOptions = {}): AsyncGenerator<Outcome, void, undefined> {
    const start = (input: T) => {
      const call = Promise.withResolvers<unknown>();
      this.started.push(input);
      this.#open.set(input, call);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
      return {
        result: call.promise,
        cancel: async () => {
          this.cancelled.push(input);
          this.end(input, new AthanorError("cancelled", "cancelled"));
        },
      };
    };
    return mapCalls({ inputs, options, start });
  }

  end(input: unknown, outcome: unknown = `result of ${input}`): void {
    const call = this.#open.get(input);
    if (outcome instanceof Error) call?.reject(outcome);
    else call?.resolve(outcome);
    this.#open.delete(input);
  }

  async until(count: number): Promise<void> {
    while (this.started.length < count) await this.#changed.promise;
  }
}

async function all(outcomes: AsyncIterable<Outcome>): Promise<unknown[]> {
  return Array.fromAsync(outcomes, (outcome) => (outcome.ok ? outcome.value : outcome.error));
}

const failed = (message: string) =>
  new JobFailedError({ job_id: "jobs:1", status: "failed", error: { code: "handler_error", message } });

/** Inputs that note what was asked of them. */
function* inputs(to: number, noted: string[] = []): Generator<number, void, undefined> {
  try {
    for (let n = 1; n <= to; n++) {
      noted.push(`pulled ${n}`);
      yield n;
    }
    noted.push("exhausted");
  } finally {
    noted.push("closed");
  }
}

test("results come in the inputs' order, whatever the order in which calls end", async () => {
  const calls = new Calls();
  const results = all(calls.map([1, 2, 3]));
  await calls.until(3);
  for (const n of [3, 1, 2]) calls.end(n);
  assert.deepEqual(await results, ["result of 1", "result of 2", "result of 3"]);
});

test("without order they come as calls end", async () => {
  const calls = new Calls();
  const results = calls.map([1, 2, 3], { ordered: false });
  const first = results.next();
  await calls.until(3);
  calls.end(3);
  assert.deepEqual((await first).value, { ok: true, value: "result of 3" });
  calls.end(1);
  assert.deepEqual((await results.next()).value, { ok: true, value: "result of 1" });
  calls.end(2);
  assert.deepEqual(await all(results), ["result of 2"]);
});

test("no input is pulled before there is room, and a result that waits for its turn takes up room", async () => {
  const calls = new Calls();
  const noted: string[] = [];
  const results = calls.map(inputs(4, noted), { concurrency: 2 });
  assert.deepEqual(noted, []);
  const first = results.next();
  assert.deepEqual(noted, ["pulled 1", "pulled 2"]);
  calls.end(2);
  await new Promise(setImmediate);
  assert.deepEqual(noted, ["pulled 1", "pulled 2"]);
  calls.end(1);
  assert.deepEqual((await first).value, { ok: true, value: "result of 1" });
  assert.deepEqual(noted, ["pulled 1", "pulled 2", "pulled 3"]);
  calls.end(3);
  calls.end(4);
  const rest = all(results);
  await calls.until(4);
  calls.end(4);
  assert.deepEqual(await rest, ["result of 2", "result of 3", "result of 4"]);
  assert.deepEqual(noted.slice(-2), ["exhausted", "closed"]);
});

test("async inputs that are slow hold up no result", async () => {
  const calls = new Calls();
  const gate = Promise.withResolvers<void>();
  async function* slow() {
    yield 1;
    await gate.promise;
    yield 2;
  }
  const results = calls.map(slow());
  const first = results.next();
  await calls.until(1);
  calls.end(1);
  assert.deepEqual((await first).value, { ok: true, value: "result of 1" });
  gate.resolve();
  const rest = all(results);
  await calls.until(2);
  calls.end(2);
  assert.deepEqual(await rest, ["result of 2"]);
});

test("the first error is thrown, and what is under way is cancelled", async () => {
  const calls = new Calls();
  const noted: string[] = [];
  const results = all(calls.map(inputs(9, noted), { concurrency: 3 }));
  calls.end(1);
  await calls.until(4);
  calls.end(2, failed("boom"));
  await assert.rejects(results, { name: "JobFailedError", message: "boom" });
  assert.deepEqual(calls.cancelled, [3, 4, 5].slice(0, calls.cancelled.length));
  assert.ok(calls.cancelled.length >= 2);
  assert.equal(noted.at(-1), "closed");
});

test("errors that are collected stand in their results' places; those that are not of one call are thrown all the same", async () => {
  const calls = new Calls();
  const results = all(calls.map([1, 2, 3], { errors: "collect" }));
  await calls.until(3);
  const refused = new AthanorError("input_invalid", "wrong");
  calls.end(1, failed("boom"));
  calls.end(2);
  calls.end(3, refused);
  assert.deepEqual(await results, [failed("boom"), "result of 2", refused]);
  const others = all(calls.map([1, 2], { errors: "collect" }));
  calls.end(1, new AthanorError("server_unreachable", "away"));
  await assert.rejects(others, { code: "server_unreachable" });
  assert.deepEqual(calls.cancelled, [2]);
});

test("a consumer that leaves cancels what is under way, and closes the inputs", async () => {
  const calls = new Calls();
  const noted: string[] = [];
  for await (const _ of calls.map(
    (function* () {
      for (const n of inputs(9, noted)) {
        yield n;
        if (n === 1) calls.end(1);
      }
    })(),
    { concurrency: 3 },
  ))
    break;
  assert.deepEqual(calls.started, [1, 2, 3, 4]);
  assert.deepEqual(calls.cancelled, [2, 3, 4]);
  assert.equal(noted.at(-1), "closed");
});

test("a consumer that leaves does not wait for an input that never comes", async () => {
  const calls = new Calls();
  async function* stuck() {
    yield 1;
    await new Promise(() => {});
  }
  const results = calls.map(stuck());
  const first = results.next();
  await calls.until(1);
  calls.end(1);
  await first;
  await results.return();
});

test("an abort ends it with its reason", async () => {
  const calls = new Calls();
  const controller = new AbortController();
  const results = all(calls.map([1, 2], { signal: controller.signal }));
  controller.abort(new Error("enough"));
  await assert.rejects(results, /enough/);
  assert.deepEqual(calls.cancelled, [1, 2]);
  await assert.rejects(all(calls.map([3], { signal: controller.signal })), /enough/);
  assert.deepEqual(calls.started, [1, 2]);
});

test("what the inputs throw is thrown, and what is under way is cancelled", async () => {
  const calls = new Calls();
  async function* broken() {
    yield 1;
    throw new RangeError("no more");
  }
  await assert.rejects(all(calls.map(broken())), { name: "RangeError" });
  assert.deepEqual(calls.cancelled, [1]);
});

test("no inputs make no calls; a concurrency that is none is refused", async () => {
  const calls = new Calls();
  assert.deepEqual(await all(calls.map([])), []);
  for (const concurrency of [0, -1, 1.5, Number.NaN, 1e9])
    await assert.rejects(all(calls.map([1], { concurrency })), { code: "usage", detail: /^concurrency is / });
  assert.deepEqual(calls.started, []);
});

test("random orders of ending: every result once, in order, never more under way than allowed", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    let state = seed;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    let underWay = 0;
    let most = 0;
    const start = (n: number) => {
      most = Math.max(most, ++underWay);
      const turns = random(5);
      const result = (async () => {
        for (let i = 0; i < turns; i++) await new Promise(setImmediate);
        underWay -= 1;
        return n;
      })();
      return { result, cancel: async () => {} };
    };
    const concurrency = 1 + random(8);
    const ordered = random(2) === 0;
    const outcomes = mapCalls({ inputs: inputs(50), start, options: { concurrency, ordered } });
    const values = (await all(outcomes)) as number[];
    const expected = Array.from({ length: 50 }, (_, i) => i + 1);
    assert.deepEqual(ordered ? values : values.toSorted((a, b) => a - b), expected, `seed ${seed}`);
    assert.ok(most <= concurrency, `seed ${seed}: ${most} of ${concurrency}`);
  }
});
