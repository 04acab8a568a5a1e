import type { StoreSignal } from "../store.ts";

/** What a verb returns, and what other servers are to hear of it. */
export interface Told<T> {
  value: T;
  signals: StoreSignal[];
}
