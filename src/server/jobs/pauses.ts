import type { QueueRecord, Store } from "../store/store.ts";

/** Queues that are known to be paused, so that no replica is started for their jobs. The store itself lets nothing of them be claimed. */
export class Pauses {
  readonly #store: Pick<Store, "queueList">;
  #paused: ReadonlySet<string> = new Set();

  constructor(store: Pick<Store, "queueList">) {
    this.#store = store;
  }

  get size(): number {
    return this.#paused.size;
  }

  has(app: string, name: string): boolean {
    return this.#paused.has(`${app}/${name}`);
  }

  /** Reads them from the store. */
  async load(): Promise<void> {
    const queues = await this.#store.queueList({});
    this.#paused = new Set(queues.filter(({ paused }) => paused).map(keyOf));
  }

  set(queue: QueueRecord): void {
    const paused = new Set(this.#paused);
    if (queue.paused) paused.add(keyOf(queue));
    else paused.delete(keyOf(queue));
    this.#paused = paused;
  }
}

const keyOf = (queue: QueueRecord): string => `${queue.app}/${queue.function}`;
