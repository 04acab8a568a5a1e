import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { Database } from "./database.ts";

/** Deletion of what is over, and the inspection of what is there. */

export async function jobPrune(db: Database, p: { now: number; limit: number }): Promise<number> {
  const before = p.now - SERVER_DEFAULTS.idempotencyWindowS * 1000;
  return await db.write({ durable: false }, async (tx) => {
    const gone = tx.write("jobPrune", p);
    void tx.write("keyPrune", { before });
    void tx.write("countPrune");
    void tx.write("writerPrune");
    return async () => (await gone).length;
  });
}

export async function blobUnreferenced(db: Database, p: { hashes: string[] }): Promise<string[]> {
  return (await db.read<{ sha256: string }>("blobUnreferenced", p)).map(({ sha256 }) => sha256);
}

const CHECKS = ["checkCounts", "checkPlaces", "checkKeys", "checkSegments", "checkSealed", "checkEnds", "checkOwners"];

export async function check(db: Database): Promise<string[]> {
  const found = await Promise.all(CHECKS.map((name) => db.read<{ problem: string }>(name)));
  return found.flat().map(({ problem }) => problem);
}
