import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const PREFIX = "athanor-";
const SOCKET = "replicas.sock";

/**
 * A folder for the socket that replicas dial: a path in the data folder may be longer than a socket's address can be. A file in the data
 * folder names it, so that the next start removes what a killed server left. Call while the data folder is locked.
 */
export function makeSocketFolder(dataDir: string): { address: string; remove(): void } {
  const note = join(dataDir, "socket-folder");
  removeNoted(note);
  const path = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(note, `${path}\n`, { mode: 0o600 });
  return {
    address: join(path, SOCKET),
    remove: () => {
      rmSync(path, { recursive: true, force: true });
      rmSync(note, { force: true });
    },
  };
}

function removeNoted(note: string): void {
  let path: string;
  try {
    path = readFileSync(note, "utf8").trim();
  } catch {
    return;
  }
  if (!basename(path).startsWith(PREFIX)) return;
  try {
    rmSync(join(path, SOCKET), { force: true });
    // Only where nothing else is in it, whoever wrote the note.
    rmdirSync(path);
  } catch {
    // It is gone, or not ours.
  }
}
