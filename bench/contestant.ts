/** One system that takes part in a scenario. */
export interface Contestant {
  name: string;
  /** What it promises while it is measured: durability, versions. Printed beside its figures. */
  note: string;
  /** Starts it, ready to be measured, or rejects with Unavailable where it is not installed. */
  start(load: Load): Promise<Running>;
}

export interface Load {
  /** Operations that will be under way at a time: workers and batches are set for it, as the contestant's documentation advises. */
  inFlight: number;
}

export interface Running extends AsyncDisposable {
  /** One operation. Returns its answer, which the scenario checks, and how long it took where the scenario cannot see that from outside. */
  once(n: number): Promise<{ answer: unknown; ms?: number }>;
}

/** A peer that cannot be had on this machine, and why: left out of the table, and said so. */
export class Unavailable extends Error {}
