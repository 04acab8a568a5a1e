import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore, type SqliteStore } from "../../src/server/store/sqlite.ts";
import type { TestStore } from "./conformance/given.ts";

export interface TempDir extends AsyncDisposable {
  path: string;
}

export async function tempDir(): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), "athanor-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** An empty SQLite store in a folder of its own, removed with it. */
export async function openTempStore(p: { maxPages?: number } = {}): Promise<SqliteStore & TestStore> {
  const dir = await tempDir();
  const path = join(dir.path, "athanor.db");
  const store = await openSqliteStore({ path, ...p });
  const dispose = store[Symbol.asyncDispose].bind(store);
  store[Symbol.asyncDispose] = async () => {
    await dispose();
    await dir[Symbol.asyncDispose]();
  };
  return Object.assign(store, { another: () => openSqliteStore({ path }) });
}
