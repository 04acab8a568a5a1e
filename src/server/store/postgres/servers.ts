import type { ServerBeat } from "../store.ts";
import type { Database } from "./database.ts";
import { LOCKS } from "./locks.ts";

/** Leases, the lead, and what servers must agree on. */

export interface Beat extends ServerBeat {
  /** It had no lease before: the others do not know of it yet. */
  isNew: boolean;
}

export async function serverBeat(db: Database, p: { server: string; leaseMs: number; now: number }): Promise<Beat> {
  const { server, now } = p;
  return await db.write({ durable: true, locks: [LOCKS.servers()] }, async (tx) => {
    const before = tx.get<{ lease_until: number }>("serverGet", { server });
    const after = tx.write<{ leader: boolean }>("serverBeat", { server, now, leaseUntil: now + p.leaseMs });
    const count = tx.get<{ servers: number }>("serverCount", { now });
    const [known, [own], counted] = await Promise.all([before, after, count]);
    const held = known !== undefined && known.lease_until > now;
    return () => ({ held, leader: own?.leader ?? false, servers: counted?.servers ?? 1, isNew: !held });
  });
}

export async function serverLeave(db: Database, p: { server: string }): Promise<void> {
  await db.write({ durable: true, locks: [LOCKS.servers()] }, async (tx) => {
    void tx.write("serverLeave", { server: p.server });
    return () => {};
  });
}

export async function metaClaim(db: Database, p: { key: string; value: string }): Promise<string> {
  return await db.write({ durable: true }, async (tx) => {
    const [kept] = await tx.write<{ value: string }>("metaClaim", p);
    return () => kept?.value ?? p.value;
  });
}

export async function numberTake(db: Database, p: { name: string; count: number }): Promise<number> {
  return await db.write({ durable: true }, async (tx) => {
    const [taken] = await tx.write<{ first: number }>("numberTake", p);
    return () => Number(taken?.first);
  });
}
