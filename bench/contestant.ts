/** One system that takes part in a scenario. */
export interface Contestant {
  name: string;
  /** What it promises while it is measured: durability, versions. Printed beside its figures. */
  note: string;
  /** Starts it, ready to be measured, or rejects with Unavailable where it is not installed. */
  start(): Promise<Running>;
}

export interface Running extends AsyncDisposable {
  /** One operation. Returns its answer, which the scenario checks, and how long it took where the scenario cannot see that from outside. */
  once(n: number): Promise<{ answer: unknown; ms?: number }>;
}

/** A peer that cannot be had on this machine, and why: left out of the table, and said so. */
export class Unavailable extends Error {}
