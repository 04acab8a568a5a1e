import { readdirSync, readFileSync } from "node:fs";

/** What a tick of /proc's counters is on Linux. */
const TICK_MS = 10;

/** Milliseconds of CPU that a process and all that it has started, directly or not, have used so far. */
export function treeCpuMs(root: number = process.pid): number {
  const children = new Map<number, number[]>();
  const used = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat === null) continue;
    used.set(stat.pid, stat.ticks * TICK_MS);
    children.set(stat.ppid, [...(children.get(stat.ppid) ?? []), stat.pid]);
  }
  let total = 0;
  const open = [root];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    total += used.get(pid) ?? 0;
    open.push(...(children.get(pid) ?? []));
  }
  return total;
}

/** Of one process alone. */
export function processCpuMs(pid: number): number {
  return (readStat(pid)?.ticks ?? Number.NaN) * TICK_MS;
}

/** Its own time and that of its ended children. */
function readStat(pid: number): { pid: number; ppid: number; ticks: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name is in parentheses and may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return { pid, ppid: Number(fields[1]), ticks };
  } catch {
    return null;
  }
}
