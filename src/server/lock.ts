/**
 * The lock on a data folder: one server at a time.
 *
 *   free --lockDataDir()--> held --release() or the process's end, kill -9 included--> free
 *
 * It is an exclusive lock of the operating system, held through SQLite on a file of its own, so nothing of it outlives the process.
 * Nothing else may open `lock.db`: closing any descriptor of it would free the lock.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AthanorError } from "../protocol/errors.ts";
import type { ServerFile } from "../protocol/wire.ts";

export interface DataDirLock extends Disposable {
  /** Tells the CLI, and a second server, where this one is. */
  announce(server: ServerFile): void;
  /** Idempotent. */
  release(): void;
}

/** Makes the folder where it is missing, 0700. Throws data_dir_locked naming the holder's pid and URL, config_invalid where the folder can't be used. */
export function lockDataDir(dataDir: string): DataDirLock {
  const serverFile = join(dataDir, "server.json");
  const database = openExclusively(dataDir, serverFile);
  let held = true;
  const release = (): void => {
    if (!held) return;
    held = false;
    rmSync(serverFile, { force: true });
    database.close();
  };
  // What a killed server left behind is false from now on.
  rmSync(serverFile, { force: true });
  return {
    announce: (server) => writeFileSync(serverFile, `${JSON.stringify(server)}\n`, { mode: 0o600 }),
    release,
    [Symbol.dispose]: release,
  };
}

function openExclusively(dataDir: string, serverFile: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(join(dataDir, "lock.db"), { timeout: 0 });
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    const { message, errcode, code } = error as Error & { errcode?: number; code?: string };
    const SQLITE_BUSY = 5;
    if (errcode === SQLITE_BUSY)
      throw new AthanorError("data_dir_locked", `${dataDir} is in use by ${holderOf(serverFile)}`);
    if (code === "ENOSPC")
      throw new AthanorError("storage_full", `cannot write to the data folder ${dataDir}: ${message}`, {
        cause: error,
      });
    throw new AthanorError("config_invalid", `the data folder ${dataDir} cannot be used: ${message}`, { cause: error });
  }
}

function holderOf(serverFile: string): string {
  try {
    const { url, pid } = JSON.parse(readFileSync(serverFile, "utf8")) as ServerFile;
    return `the server with pid ${pid} at ${url}`;
  } catch {
    return "another server, which is still starting or stopping";
  }
}
