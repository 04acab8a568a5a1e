import type { Store } from "./store.ts";

export interface SqliteParams {
  /** The database file; its folder must exist. */
  path: string;
  /** Pages of 4 KiB that the file may grow to; for tests of a full disk. */
  maxPages?: number;
}

/** Opens the database, migrated to the present schema. Throws `schema_newer`, `storage_full`. */
export function openSqliteStore(_p: SqliteParams): Promise<Store> {
  throw new Error("not written yet");
}
