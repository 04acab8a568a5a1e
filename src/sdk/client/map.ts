/**
 * Many calls of one function, a bounded number of them at a time.
 *
 *   pulling   an input is asked for, only while fewer than `concurrency` are under way: pulled, and their results not yet handed over
 *   running   each has its call; results are handed over as the consumer asks, in the inputs' order or as they come
 *   stopping  the consumer has left, an error is thrown or the signal aborts: no more is pulled, what is under way is cancelled
 */
import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Inputs, MapOptions } from "../handle.ts";

/** One call under way. */
export interface StartedCall {
  result: Promise<unknown>;
  /** Cancels its job, where it has not ended. Never rejects. */
  cancel(): Promise<void>;
}

export type Outcome = { ok: true; value: unknown } | { ok: false; error: unknown };

interface Entry {
  call: StartedCall;
  outcome: Outcome | null;
}

export async function* mapCalls<T>(p: {
  inputs: Inputs<T>;
  start(input: T, index: number): StartedCall;
  options: MapOptions;
}): AsyncGenerator<Outcome, void, undefined> {
  const { signal, errors = "throw" } = p.options;
  const window = new Window(p);
  const onAbort = () => window.wake();
  signal?.addEventListener("abort", onAbort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const outcome = window.take();
      if (outcome === null) {
        if (window.over) return;
        await window.changed();
      } else if (outcome.ok || (errors === "collect" && isOfCall(outcome.error))) yield outcome;
      else throw outcome.error;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    await window.stop();
  }
}

/** An error of one call, and not of all: how its job ended, or that its input was refused. */
function isOfCall(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "JobFailedError") return true;
  return error instanceof AthanorError && ["input_invalid", "media_invalid", "body_too_large"].includes(error.code);
}

class Window<T> {
  readonly #p: { inputs: Inputs<T>; start(input: T, index: number): StartedCall; options: MapOptions };
  readonly #concurrency: number;
  readonly #ordered: boolean;
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  readonly #entries: Entry[] = [];
  #pulled = 0;
  #pulling = false;
  #exhausted = false;
  #stopped = false;
  /** What the inputs' own iterator threw. */
  #fault: { error: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(p: { inputs: Inputs<T>; start(input: T, index: number): StartedCall; options: MapOptions }) {
    this.#p = p;
    this.#ordered = p.options.ordered ?? true;
    this.#concurrency = checkConcurrency(p.options.concurrency ?? CLIENT_DEFAULTS.mapConcurrency);
    this.#iterator = Symbol.asyncIterator in p.inputs ? asyncIterator(p.inputs) : p.inputs[Symbol.iterator]();
  }

  /** Nothing is under way, and nothing is to come. */
  get over(): boolean {
    return this.#exhausted && this.#entries.length === 0;
  }

  /** The next outcome that may be handed over; null: there is none yet. */
  take(): Outcome | null {
    this.#fill();
    const at = this.#ordered
      ? this.#entries[0]?.outcome == null
        ? -1
        : 0
      : this.#entries.findIndex(({ outcome }) => outcome !== null);
    const [entry] = at === -1 ? [] : this.#entries.splice(at, 1);
    if (entry !== undefined) this.#fill();
    if (entry === undefined && this.#fault !== null) return { ok: false, error: this.#fault.error };
    return entry?.outcome ?? null;
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const wasPulling = this.#pulling;
    const cancelled = this.#entries
      .splice(0)
      .map(({ call, outcome }) => (outcome === null ? call.cancel() : undefined));
    if (!this.#exhausted) {
      const returned = Promise.resolve(this.#iterator.return?.()).catch(() => {});
      // An input that is still waited for would be waited for here as well.
      if (!wasPulling) await returned;
    }
    await Promise.all(cancelled);
  }

  /** Pulls what there is room for: of plain iterables all at once; an async one is asked again when it has answered. */
  #fill(): void {
    while (!this.#pulling && !this.#exhausted && !this.#stopped && this.#entries.length < this.#concurrency) {
      this.#pulling = true;
      try {
        const next = this.#iterator.next();
        if (next instanceof Promise) void this.#pullLater(next);
        else this.#take(next);
      } catch (error) {
        this.#broke(error);
      }
    }
  }

  async #pullLater(next: Promise<IteratorResult<T>>): Promise<void> {
    try {
      this.#take(await next);
      this.#fill();
      this.#wake();
    } catch (error) {
      this.#broke(error);
    }
  }

  #take(result: IteratorResult<T>): void {
    this.#pulling = false;
    if (this.#stopped) return;
    if (result.done) this.#exhausted = true;
    else this.#begin(result.value);
  }

  #broke(error: unknown): void {
    this.#pulling = false;
    this.#exhausted = true;
    this.#fault = { error };
    this.#wake();
  }

  #begin(input: T): void {
    const call = this.#p.start(input, this.#pulled++);
    const entry: Entry = { call, outcome: null };
    this.#entries.push(entry);
    const settle = (outcome: Outcome) => {
      entry.outcome = outcome;
      this.#wake();
    };
    call.result.then(
      (value) => settle({ ok: true, value }),
      (error: unknown) => settle({ ok: false, error }),
    );
  }
}

/** One whose every answer is a true promise, whatever the given one's are. */
async function* asyncIterator<T>(inputs: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* inputs;
}

function checkConcurrency(concurrency: number): number {
  const { maxMapConcurrency: max } = CLIENT_DEFAULTS;
  if (Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= max) return concurrency;
  throw new AthanorError("usage", `concurrency is ${concurrency}: it is a whole number from 1 to ${max}`, {
    hint: "It is how many calls are under way at a time.",
  });
}
