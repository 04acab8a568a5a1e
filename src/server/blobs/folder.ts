/**
 * Whose a blob folder is. Blobs that a store does not know are cleared away, so a folder must never serve two stores; and servers of one
 * database must all have the same folder, or each would miss what the others put. A file in the folder ties it to its database:
 *
 *   unmarked, empty --the first server of a database--> marked: with the database's id, and an id of its own that the database keeps
 *
 * The folder of a server alone, with its SQLite file, has no mark.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import type { Store } from "../store/store.ts";

const MARK_FILE = "store.json";

export interface Mark {
  /** Of the database. */
  store: string;
  folder: string;
}

/** Throws blobs_not_shared where the folder is not the one of the store's other servers, or is another store's. */
export async function claimBlobFolder(p: { dir: string; store: Pick<Store, "shared" | "metaClaim"> }): Promise<void> {
  const { dir, store } = p;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const before = await readMark(dir);
  if (!store.shared) {
    if (before === null) return;
    throw refused(`${dir} holds the files of a PostgreSQL database's jobs, and this server has none`, {
      hint: "Give the database with --store, or another folder with --data or --blobs.",
    });
  }
  const id = await store.metaClaim({ key: "store_id", value: randomUUID() });
  const mark = before ?? (await makeMark(dir, id));
  if (mark.store !== id) throw refused(`${dir} holds the files of another database's jobs (its id is ${mark.store})`);
  const folder = await store.metaClaim({ key: "blobs_id", value: mark.folder });
  if (folder === mark.folder) return;
  if (before === null) await rm(join(dir, MARK_FILE), { force: true });
  throw refused(`${dir} has the id ${mark.folder}, and the folder of the database's other servers ${folder}`);
}

export async function readMark(dir: string): Promise<Mark | null> {
  try {
    const { store, folder } = JSON.parse(await readFile(join(dir, MARK_FILE), "utf8")) as Mark;
    return { store, folder };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new AthanorError("config_invalid", `${join(dir, MARK_FILE)} cannot be read: ${(error as Error).message}`);
  }
}

/** Of two servers that do this at once, both get the mark of the first. */
async function makeMark(dir: string, store: string): Promise<Mark> {
  if ((await readdir(dir)).some((name) => /^[0-9a-f]{2}$/.test(name)))
    throw refused(`${dir} holds files already, and nothing says that they are this database's`);
  const mark = { store, folder: randomUUID() };
  const temporary = join(dir, `${MARK_FILE}.${randomUUID()}`);
  try {
    const file = await open(temporary, "wx", 0o600);
    await file.writeFile(`${JSON.stringify(mark)}\n`);
    await file.sync();
    await file.close();
    await link(temporary, join(dir, MARK_FILE));
    return mark;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return (await readMark(dir)) ?? mark;
  } finally {
    await rm(temporary, { force: true });
  }
}

function refused(detail: string, extras: { hint?: string } = {}): AthanorError {
  return new AthanorError("blobs_not_shared", detail, extras);
}
