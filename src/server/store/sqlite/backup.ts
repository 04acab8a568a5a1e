import { closeSync, fsyncSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { AthanorError } from "../../../protocol/errors.ts";
import { type Connection, syncFolder } from "./connection.ts";
import { toAthanorError } from "./faults.ts";

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
