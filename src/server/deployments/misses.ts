/**
 * Apps that are asked for and not served here. On a store that servers share, one may have been deployed on another a moment ago: the store is
 * asked before the answer is that there is none. Whoever asks is answered by a look that began after they did, so that a deploy that was
 * acknowledged anywhere is seen. Looks keep a distance, and each takes all that wait, so that a flood of wrong names costs the store little.
 *
 *   (idle) --look()--> waiting, until `gapMs` after the look before --> asking --> (idle), or waiting where others came meanwhile
 */
export interface MissesOptions<T> {
  /** What is there of these names. */
  ask(names: string[]): Promise<T[]>;
  nameOf(found: T): string;
  gapMs: number;
  /** Beyond it whoever asks is told at once that there is nothing. */
  maxWaiting: number;
}

export class Misses<T> {
  readonly #options: MissesOptions<T>;
  #waiting = new Map<string, PromiseWithResolvers<T | null>>();
  #busy = false;

  constructor(options: MissesOptions<T>) {
    this.#options = options;
  }

  /** Rejects where the store cannot be asked. */
  look(name: string): Promise<T | null> {
    const known = this.#waiting.get(name);
    if (known !== undefined) return known.promise;
    if (this.#waiting.size >= this.#options.maxWaiting) return Promise.resolve(null);
    const asked = Promise.withResolvers<T | null>();
    this.#waiting.set(name, asked);
    if (!this.#busy) void this.#ask();
    return asked.promise;
  }

  async #ask(): Promise<void> {
    this.#busy = true;
    const { ask, nameOf, gapMs } = this.#options;
    const asked = this.#waiting;
    this.#waiting = new Map();
    const next = (): void => {
      this.#busy = false;
      if (this.#waiting.size > 0) void this.#ask();
    };
    setTimeout(() => settled.then(next), gapMs);
    const settled = ask([...asked.keys()]).then(
      (found) => {
        const byName = new Map(found.map((each) => [nameOf(each), each]));
        for (const [name, { resolve }] of asked) resolve(byName.get(name) ?? null);
      },
      (error: unknown) => {
        for (const { reject } of asked.values()) reject(error);
      },
    );
    await settled;
  }
}
