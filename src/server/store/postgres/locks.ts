import { createHash } from "node:crypto";
import type { Lock } from "./database.ts";

/** Locks between the servers of a store, each of one transaction. Kinds are taken in this order, so that none waits for another in a circle. */
const KINDS = { migrate: 0, servers: 1, apps: 2, insert: 3, claim: 4 } as const;

/** Databases have one space of such locks for all that use them; ours begins at a number made of the schema's name. */
export function lockSpace(schema: string): number {
  return createHash("sha256").update(`athanor/${schema}`).digest().readInt32BE(0);
}

export const LOCKS = {
  migrate: (): Lock => ({ kind: KINDS.migrate, id: 0, shared: false }),
  /** Leases and the lead. */
  servers: (): Lock => ({ kind: KINDS.servers, id: 0, shared: false }),
  /** Whoever makes something of an app shares it; deleting one excludes that. */
  apps: (p: { shared: boolean }): Lock => ({ kind: KINDS.apps, id: 0, shared: p.shared }),
  /** Whoever adds to queues, so that numbers are committed in their order and no queue grows past its size. */
  insert: (queues: number[]): Lock[] => ordered(queues).map((id) => ({ kind: KINDS.insert, id, shared: false })),
  /** Claims share it; of a function that has limits, they exclude each other; pausing excludes them. */
  claim: (queues: { queue: number; shared: boolean }[]): Lock[] =>
    queues.toSorted((a, b) => a.queue - b.queue).map(({ queue, shared }) => ({ kind: KINDS.claim, id: queue, shared })),
};

function ordered(queues: number[]): number[] {
  return [...new Set(queues)].toSorted((a, b) => a - b);
}
