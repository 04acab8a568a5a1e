/** Promises by id that may be settled before or after they are asked for. */
export class Waiters<T> {
  readonly #waiting = new Map<string, (value: T) => void>();
  readonly #early = new Map<string, T>();

  wait(id: string): Promise<T> {
    const early = this.#early.get(id);
    if (early !== undefined) {
      this.#early.delete(id);
      return Promise.resolve(early);
    }
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  settle(id: string, value: T): void {
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (resolve) resolve(value);
    else this.#early.set(id, value);
  }
}
