import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface ProcessEntry {
  pid: number;
  parent: number;
  group: number;
  /** Tells two processes apart that had the same pid one after the other. */
  startedAt: string;
  residentBytes: number;
  /** A signal such as SIGSTOP keeps it from running; not so one that a debugger holds. */
  stopped: boolean;
}

const HAS_PROC = process.platform === "linux";
/** Node offers no sysconf; every Linux that runs it has pages of 4 KiB, except some of arm64, which `statm` tells by VmRSS. */
const PAGE_BYTES = HAS_PROC ? pageBytes() : 4096;

function pageBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const kib = Number(/^VmSize:\s+(\d+) kB/m.exec(status)?.[1]);
    const pages = Number(readFileSync("/proc/self/statm", "latin1").split(" ")[0]);
    const nearest = [4096, 16384, 65536].sort(
      (a, b) => Math.abs(a * pages - kib * 1024) - Math.abs(b * pages - kib * 1024),
    );
    return nearest[0] ?? 4096;
  } catch {
    return 4096;
  }
}

/** Every process of the machine that is alive (zombies are not). */
export async function processTable(): Promise<ProcessEntry[]> {
  return HAS_PROC ? readProc() : readPs();
}

function readProc(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const entry = readStat(pid);
    if (entry) entries.push(entry);
  }
  return entries;
}

function readStat(pid: number): ProcessEntry | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "Z" || state === "X") return null;
  return {
    pid,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startedAt: fields[19] ?? "",
    residentBytes: Number(fields[21]) * PAGE_BYTES,
    stopped: state === "T",
  };
}

async function readPs(): Promise<ProcessEntry[]> {
  const { stdout } = await run("ps", ["-axo", "pid=,ppid=,pgid=,rss=,stat=,lstart="], { maxBuffer: 16 * 1024 * 1024 });
  const entries: ProcessEntry[] = [];
  for (const line of stdout.split("\n")) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line);
    if (!match || match[5]?.startsWith("Z")) continue;
    const [pid, parent, group, kib] = match.slice(1, 5).map(Number) as [number, number, number, number];
    entries.push({
      pid,
      parent,
      group,
      startedAt: match[6] ?? "",
      residentBytes: kib * 1024,
      stopped: match[5]?.startsWith("T") === true,
    });
  }
  return entries;
}

/** The memory of a process now, where one process can be asked; else as the table had it. 0: it is gone. */
export function residentBytes(entry: ProcessEntry): number {
  if (!HAS_PROC) return entry.residentBytes;
  try {
    return Number(readFileSync(`/proc/${entry.pid}/statm`, "latin1").split(" ", 2)[1]) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** The processes of a group and all their descendants, those that have left for a group of their own included. */
export function family(table: readonly ProcessEntry[], group: number): ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  for (const entry of table) if (entry.group === group || entry.pid === group) members.set(entry.pid, entry);
  if (members.size === 0) return [];
  for (let before = -1; before !== members.size; ) {
    before = members.size;
    for (const entry of table) if (members.has(entry.parent)) members.set(entry.pid, entry);
  }
  return [...members.values()];
}

/** Processes, other than this one, whose environment has the text in it. Only those of the same user can be seen. */
export async function processesWithEnv(text: string): Promise<number[]> {
  const pids = HAS_PROC ? procsWithEnv(text) : await psWithEnv(text);
  return pids.filter((pid) => pid !== process.pid);
}

function procsWithEnv(text: string): number[] {
  return readProc()
    .map((entry) => entry.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`).includes(text);
      } catch {
        return false;
      }
    });
}

async function psWithEnv(text: string): Promise<number[]> {
  const { stdout } = await run("ps", ["-axEww", "-o", "pid=,command="], { maxBuffer: 64 * 1024 * 1024 });
  const lines = stdout.split("\n").filter((line) => line.includes(text));
  return lines.map((line) => Number.parseInt(line, 10)).filter(Number.isInteger);
}

/** Sends a signal to a process, or with a negative number to a group. False where there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
