import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, type SqliteStore } from "../../src/server/store/sqlite.ts";

export interface TempDir extends AsyncDisposable {
  path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "athanor-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** An empty SQLite store in a folder of its own, removed with it. */
export async function openTempStore(p: { maxPages?: number } = {}): Promise<SqliteStore> {
  const dir = await tempDir();
  const store = await openSqliteStore({ path: join(dir.path, "athanor.db"), ...p });
  const dispose = store[Symbol.asyncDispose].bind(store);
  store[Symbol.asyncDispose] = async () => {
    await dispose();
    await dir[Symbol.asyncDispose]();
  };
  return store;
}
