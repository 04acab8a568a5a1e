import { closeSync, fsyncSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { backup as backupDatabase, DatabaseSync } from "node:sqlite";
import { AthanorError } from "../../../protocol/errors.ts";
import { BUSY_TIMEOUT_MS, type Connection, syncFolder } from "./connection.ts";
import { toAthanorError } from "./faults.ts";

const ALL_PAGES = 2 ** 31 - 1;

/** Copies the database, while it is in use, to a file that must not exist yet. It is on disk when this resolves. */
export async function backup(db: Connection, p: { path: string }): Promise<void> {
  const path = resolve(p.path);
  create(path);
  try {
    await db.copyTo(path);
    const fd = openSync(path, "r+");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    syncFolder(dirname(path));
  } catch (error) {
    await rm(path, { force: true });
    throw toAthanorError(error, path);
  }
}

/**
 * As backup, from outside of the server, whose database may be in use: read only, and as of one moment, since a copy in steps would begin again
 * at each commit of another process.
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  const db = new DatabaseSync(from, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    await backupDatabase(db, to, { rate: ALL_PAGES });
  } catch (error) {
    throw toAthanorError(error, from);
  } finally {
    db.close();
  }
}

function create(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "EEXIST" ? "it exists already" : (error as Error).message;
    throw new AthanorError("bad_request", `A backup cannot be written to ${path}: ${why}.`, {
      cause: error,
      hint: "Name a new file in a folder that exists.",
    });
  }
}
