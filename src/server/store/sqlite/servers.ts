import type { ServerBeat } from "../store.ts";
import type { Connection } from "./connection.ts";

/** What servers of one store agree on. A lease that has run out is as if it had never been, the lead with it. */

export function serverBeat(db: Connection, p: { server: string; leaseMs: number; now: number }): ServerBeat {
  const { server, now } = p;
  const before = db.get<{ lease_until: number }>("serverGet", { server })?.lease_until;
  db.run("serverPrune", { now, server });
  const { leads } = db.get("serverRenew", { server, until: now + p.leaseMs }) as { leads: 0 | 1 };
  const { servers } = db.get("serverCount") as { servers: number };
  return { held: before !== undefined && before > now, leader: leads === 1, servers };
}

export function serverLeave(db: Connection, p: { server: string; now: number }): void {
  db.run("serverLeave", { server: p.server });
}

export function metaClaim(db: Connection, p: { key: string; value: string }): string {
  return (db.get("metaClaim", p) as { value: string }).value;
}

export function numberTake(db: Connection, p: { name: string; count: number }): number {
  return (db.get("numberTake", p) as { next: number }).next - p.count;
}
