import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { StoreAbout } from "../store.ts";
import type { Connection } from "./connection.ts";

/** Deletion of what is over, and the inspection of what is there. */

export function jobPrune(db: Connection, p: { now: number; limit: number }): number {
  db.run("jobKeyPrune", { before: p.now - SERVER_DEFAULTS.idempotencyWindowS * 1000 });
  db.run("countsPrune");
  return db.run("jobPrune", p);
}

export function blobUnreferenced(db: Connection, p: { hashes: string[] }): string[] {
  return p.hashes.filter((sha256) => db.get("blobReferenced", { sha256 }) === undefined);
}

export function blobsNeeded(db: Connection, p: { after?: string; limit: number }): string[] {
  return db
    .all<{ sha256: string }>("blobsNeeded", { after: p.after ?? "", limit: p.limit })
    .map(({ sha256 }) => sha256);
}

export function about(db: Connection): StoreAbout {
  const startedAt = performance.now();
  const { version } = db.get("about") as { version: string };
  const schema = Number(db.pragma("user_version")[0]?.user_version);
  const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100;
  return { kind: "sqlite", place: db.path, version, schema, latencyMs };
}

const CHECKS = [
  "checkCounts",
  "checkKeys",
  "checkKeyRoom",
  "checkLogs",
  "checkSegments",
  "checkEnds",
  "checkInputs",
  "checkQueues",
  "checkWebhooks",
];

export function check(db: Connection): string[] {
  const integrity = db.pragma("integrity_check").map((row) => String(row.integrity_check));
  const foreign = db.pragma("foreign_key_check").map((row) => {
    return `row ${row.rowid} of ${row.table} names a row of ${row.parent} that does not exist`;
  });
  const ours = CHECKS.flatMap((name) => db.all<{ problem: string }>(name).map(({ problem }) => problem));
  return [...integrity.filter((line) => line !== "ok"), ...foreign, ...ours];
}
