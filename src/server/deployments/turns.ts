/** Steps by name: those of one name follow each other, in the order in which they came. */
export class Turns {
  /** The last step of each. */
  readonly #last = new Map<string, Promise<unknown>>();

  get areTaken(): boolean {
    return this.#last.size > 0;
  }

  async take<T>(name: string, step: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(step, step);
    this.#last.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(name) === turn) this.#last.delete(name);
    }
  }

  /** Resolves once those that were taken are over. */
  async over(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}

/** Resolves once the promise settles, or after so long. */
export async function within(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, timeoutMs);
  await Promise.race([Promise.allSettled([promise]), late.promise]);
  clearTimeout(timer);
}
