import { AthanorError } from "../../../protocol/errors.ts";

/** SQLite's result codes that are told apart here; the low byte is the primary code. */
const FULL = 13;
const NOT_A_DATABASE = 26;
const CORRUPT = 11;
/** What a full disk, a quota or a limit on the size of files comes out as where it is not FULL. */
const NO_ROOM = new Set([778 /* SQLITE_IOERR_WRITE */, 4874 /* SQLITE_IOERR_SHMSIZE */]);

function sqliteCode(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code : null;
}

/** What a verb rejects with: errors of ours as they are, SQLite's as one of the table. */
export function toAthanorError(error: unknown, path: string): unknown {
  const code = sqliteCode(error);
  if (code === null || error instanceof AthanorError) return error;
  const said = `SQLite: ${(error as Error).message} (code ${code})`;
  if (code === FULL || NO_ROOM.has(code)) {
    return new AthanorError("storage_full", `There is no room to write to ${path}. ${said}.`, { cause: error });
  }
  const primary = code & 0xff;
  if (primary === NOT_A_DATABASE || primary === CORRUPT) {
    return new AthanorError("internal", `${path} is damaged or is no Athanor database. ${said}.`, {
      cause: error,
      hint: "Restore the data folder from a backup; `athanor doctor` says what is wrong.",
    });
  }
  return new AthanorError("internal", `A database operation on ${path} failed. ${said}.`, { cause: error });
}
