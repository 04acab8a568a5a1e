/** Servers of one store, their leases, and what all agree on. */
export interface ServerVerbs {
  /**
   * D. Renews the server's lease on the jobs it runs, makes it known to the others, and takes or keeps the lead where no other server
   * holds it. Call it more often than `leaseMs`.
   */
  serverBeat(p: { server: string; leaseMs: number; now: number }): Promise<ServerBeat>;
  /** D. The server stops in order: its lease and its lead end. */
  serverLeave(p: { server: string; now: number }): Promise<void>;
  /** D. The value kept under the key; where there is none, `value` is kept. For what all servers must agree on. */
  metaClaim(p: { key: string; value: string }): Promise<string>;
  /** D. The first of `count` numbers that nobody else is given. Ascending, from 1. */
  numberTake(p: { name: string; count: number }): Promise<number>;
}

export interface ServerBeat {
  /** False: there was no lease before this beat, or it had run out, and the server's jobs may be others' by now. It holds again from now on. */
  held: boolean;
  /** This server has the lead: it rescues and schedules. */
  leader: boolean;
  /** Servers with a lease, this one included. */
  servers: number;
}
