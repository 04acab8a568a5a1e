import { readdir, readFile } from "node:fs/promises";

export interface FoundProcess {
  pid: number;
  command: string;
}

/** Processes whose environment holds the mark: all that was started, however deep, by one that was given it. Linux alone shows this. */
export async function processesWithMark(mark: string): Promise<FoundProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => lookAt(pid, mark)));
  return found.filter((process) => process !== null);
}

async function lookAt(pid: string, mark: string): Promise<FoundProcess | null> {
  if (Number(pid) === process.pid) return null;
  try {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8");
    if (!environment.includes(mark)) return null;
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
    // A process that has ended and was not waited for has no command line.
    return command === "" ? null : { pid: Number(pid), command };
  } catch {
    return null;
  }
}
