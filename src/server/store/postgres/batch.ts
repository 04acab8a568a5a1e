/** What became of one call of a batch. */
export type Settled<R> = { value: R } | { error: unknown };

/** Runs calls together; one `Settled` for each, in their order. */
export type RunBatch<P, R> = (calls: P[]) => Promise<Settled<R>[]>;

interface Waiting<P, R> {
  call: P;
  size: number;
  resolve(value: R): void;
  reject(error: unknown): void;
}

/**
 * Gathers the calls of one verb into batches, each of one transaction: those made in one turn of the event loop, and those made while all
 * lanes are busy.
 *
 *   idle   --call--> gathering --the turn's end--> running     as many lanes as there are
 *   running --done, more waits--> running          running --done--> idle
 *
 * Where a batch of several calls fails as a whole, each is run by itself, so that only the one that is to blame is rejected.
 */
export class Batcher<P, R> {
  readonly #run: RunBatch<P, R>;
  readonly #maxSize: number;
  readonly #sizeOf: (call: P) => number;
  readonly #isShared: (error: unknown) => boolean;
  #waiting: Waiting<P, R>[] = [];
  #freeLanes: number;
  #scheduled = false;

  /** `sizeOf` of the calls of one batch adds up to no more than `maxSize`; `isShared`: the error is of no one call, such as an unreachable database. */
  constructor(p: {
    run: RunBatch<P, R>;
    maxSize: number;
    lanes: number;
    sizeOf?: (call: P) => number;
    isShared: (error: unknown) => boolean;
  }) {
    this.#run = p.run;
    this.#maxSize = p.maxSize;
    this.#freeLanes = p.lanes;
    this.#sizeOf = p.sizeOf ?? (() => 1);
    this.#isShared = p.isShared;
  }

  call(call: P): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ call, size: this.#sizeOf(call), resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#start();
      });
    });
  }

  #start(): void {
    while (this.#freeLanes > 0 && this.#waiting.length > 0) {
      this.#freeLanes--;
      void this.#runLane();
    }
  }

  async #runLane(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#settle(batch);
    this.#freeLanes++;
  }

  #take(): Waiting<P, R>[] {
    let size = 0;
    const over = this.#waiting.findIndex((waiting) => {
      size += waiting.size;
      return size > this.#maxSize;
    });
    return this.#waiting.splice(0, over === -1 ? this.#waiting.length : Math.max(1, over));
  }

  async #settle(batch: Waiting<P, R>[]): Promise<void> {
    try {
      const settled = await this.#run(batch.map(({ call }) => call));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = settled[index];
        if (outcome === undefined) reject(new Error("a batch left a call without an answer"));
        else if ("error" in outcome) reject(outcome.error);
        else resolve(outcome.value);
      }
    } catch (error) {
      if (batch.length === 1 || this.#isShared(error)) for (const { reject } of batch) reject(error);
      else for (const one of batch) await this.#settle([one]);
    }
  }
}
