import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { StoreAbout } from "../store.ts";
import type { Database } from "./database.ts";

/** Deletion of what is over, and the inspection of what is there. */

export async function jobPrune(db: Database, p: { now: number; limit: number }): Promise<number> {
  const before = p.now - SERVER_DEFAULTS.idempotencyWindowS * 1000;
  return await db.write({ durable: false }, async (tx) => {
    const gone = await tx.write("jobPrune", p);
    void tx.write("keyPrune", { before });
    void tx.write("countPrune");
    void tx.write("writerPrune");
    return () => gone.length;
  });
}

export async function blobUnreferenced(db: Database, p: { hashes: string[] }): Promise<string[]> {
  return (await db.read<{ sha256: string }>("blobUnreferenced", p)).map(({ sha256 }) => sha256);
}

export async function blobsNeeded(db: Database, p: { after?: string; limit: number }): Promise<string[]> {
  const rows = await db.read<{ sha256: string }>("blobsNeeded", { after: p.after ?? "", limit: p.limit });
  return rows.map(({ sha256 }) => sha256);
}

export async function about(db: Database): Promise<StoreAbout> {
  // The first may have to connect.
  await db.get("about");
  const startedAt = performance.now();
  const row = await db.get<{ version: string; schema: number }>("about");
  const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100;
  if (row === undefined) throw new Error("PostgreSQL did not say what it is");
  return { kind: "postgres", place: db.pool.target.label, version: row.version, schema: row.schema, latencyMs };
}

const CHECKS = ["checkCounts", "checkPlaces", "checkKeys", "checkSegments", "checkSealed", "checkEnds", "checkOwners"];

export async function check(db: Database): Promise<string[]> {
  const found = await Promise.all(CHECKS.map((name) => db.read<{ problem: string }>(name)));
  return found.flat().map(({ problem }) => problem);
}
