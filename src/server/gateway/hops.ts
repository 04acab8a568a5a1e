import type { ServiceAddress } from "../../protocol/replica.ts";
import { HopPool } from "../hop/pool.ts";
import type { ReplicaSession } from "../replicas/session.ts";

/** The idle connections to each replica whose service the gateway connects to. */
export class Hops {
  readonly #pools = new WeakMap<ReplicaSession, HopPool>();

  poolOf(session: ReplicaSession, address: ServiceAddress, concurrency: number): HopPool {
    const known = this.#pools.get(session);
    if (known) return known;
    const pool = new HopPool(address, { maxIdle: concurrency });
    this.#pools.set(session, pool);
    void session.ended.then(() => pool.close());
    return pool;
  }
}
