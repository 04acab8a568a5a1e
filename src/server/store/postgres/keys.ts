import type { Tx } from "./database.ts";
import type { JobRow } from "./rows.ts";

/** What a job is to its concurrency key: `active` takes one of its places, `parked` waits for one; null: neither, as long as it is delayed. */
export type KeyPart = "active" | "parked" | null;

export function keyPart({ concurrency_key: key, status, hold }: JobRow): KeyPart {
  if (key === null || (status !== "queued" && status !== "running") || hold === "delay") return null;
  return hold === "key" ? "parked" : "active";
}

interface KeyState {
  queue: number;
  key: string;
  active: number;
  parked: number;
}

const idOf = (queue: number, key: string) => `${queue}/${key}`;

/** The concurrency keys that one transaction has to do with, locked until its end, and what it makes of their counts. */
export class Keys {
  readonly #tx: Tx;
  readonly #locked = new Map<string, KeyState>();
  /** Changes to keys that may not be locked yet. */
  readonly #moves: { queue: number; key: string; from: KeyPart; to: KeyPart }[] = [];
  readonly #changed = new Set<KeyState>();

  constructor(tx: Tx) {
    this.#tx = tx;
  }

  async lock(pairs: { queue: number; key: string }[]): Promise<void> {
    const missing = new Map(pairs.map(({ queue, key }) => [idOf(queue, key), { queue, key }]));
    for (const id of this.#locked.keys()) missing.delete(id);
    if (missing.size > 0) {
      const wanted = [...missing.values()];
      const params = { queues: wanted.map(({ queue }) => queue), keys: wanted.map(({ key }) => key) };
      for (const state of await this.#tx.write<KeyState>("keyLock", params)) {
        this.#locked.set(idOf(state.queue, state.key), state);
        // A row that was made by locking must go again where nothing comes of it.
        if (state.active === 0 && state.parked === 0) this.#changed.add(state);
      }
    }
    for (let i = this.#moves.length - 1; i >= 0; i--) {
      const move = this.#moves[i];
      const state = move && this.#locked.get(idOf(move.queue, move.key));
      if (move === undefined || state === undefined) continue;
      this.#moves.splice(i, 1);
      this.#apply(state, move);
    }
  }

  /** Tells that a job is now something else to its key. */
  move(queue: number, key: string, from: KeyPart, to: KeyPart): void {
    if (from === to) return;
    const state = this.#locked.get(idOf(queue, key));
    if (state === undefined) this.#moves.push({ queue, key, from, to });
    else this.#apply(state, { from, to });
  }

  /** Of a key that is locked. */
  state(queue: number, key: string): KeyState {
    const state = this.#locked.get(idOf(queue, key));
    if (state === undefined) throw new Error("a concurrency key is used before it is locked");
    return state;
  }

  /** What a job becomes that is due now. `job` null: one that is not made yet. */
  async place(p: {
    queue: number;
    key: string;
    limit: number;
    priority: number;
    job: number | null;
  }): Promise<"active" | "parked"> {
    const { queue, key } = p;
    const { active, parked } = this.state(queue, key);
    if (active >= p.limit) return "parked";
    if (parked === 0) return "active";
    // The head of those that wait may need more room than there is; nothing passes it but what comes before it.
    const head = await this.#tx.get<{ rank: number; job: number }>("keyHead", { queue, key });
    if (head === undefined) return "parked";
    const first = -p.priority < head.rank || (-p.priority === head.rank && p.job !== null && p.job < head.job);
    return first ? "active" : "parked";
  }

  /** Locks what is not locked yet of the keys that have changed, and returns those where jobs wait. */
  async settle(): Promise<KeyState[]> {
    if (this.#moves.length > 0) await this.lock(this.#moves);
    return [...this.#changed].filter(({ parked }) => parked > 0);
  }

  save(): void {
    const rows = [...this.#changed];
    if (rows.length === 0) return;
    void this.#tx.write("keyWrite", { rows: JSON.stringify(rows) });
    const idle = rows.filter(({ active, parked }) => active === 0 && parked === 0);
    if (idle.length === 0) return;
    void this.#tx.write("keyClean", { queues: idle.map(({ queue }) => queue), keys: idle.map(({ key }) => key) });
  }

  #apply(state: KeyState, { from, to }: { from: KeyPart; to: KeyPart }): void {
    if (from !== null) state[from]--;
    if (to !== null) state[to]++;
    this.#changed.add(state);
  }
}
