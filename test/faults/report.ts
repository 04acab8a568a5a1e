import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { History, Violation } from "./history.ts";

const MAX_SHOWN = 20;
const MAX_JOBS_TOLD = 3;

/** What a failure says: the rules, and all that is known of the first jobs that broke them. */
export function report(history: History, found: Violation[]): string {
  const lines = [`${found.length} violations:`];
  for (const { rule, job, what } of found.slice(0, MAX_SHOWN)) lines.push(`  [${rule}] ${job ?? ""} ${what}`);
  if (found.length > MAX_SHOWN) lines.push(`  and ${found.length - MAX_SHOWN} more`);
  const jobs = [...new Set(found.flatMap(({ job }) => job ?? []))].slice(0, MAX_JOBS_TOLD);
  for (const job of jobs) lines.push("", ...story(history, job));
  return lines.join("\n");
}

/** Everything about one job, in the order of time as far as it has one. */
function story(history: History, job: string): string[] {
  const timed: [number, string][] = [];
  for (const call of history.calls) {
    if (!call.answers.some((answer) => answer.job === job)) continue;
    timed.push([call.sentAt, `call ${call.n} (${call.kind}) was sent to ${call.function}, key ${call.key}`]);
    for (const answer of call.answers) timed.push([answer.at, "acknowledged"]);
  }
  for (const cancel of history.cancels) if (cancel.job === job) timed.push([cancel.at, "its cancel was acknowledged"]);
  for (const seen of history.observed)
    if (seen.job === job) timed.push([seen.at, `was seen ${seen.status} with ${cut(seen.result)}`]);
  for (const record of history.records)
    if (record.job === job)
      timed.push([record.at, `handler ${record.type}, attempt ${record.attempt}, process ${record.pid}`]);
  for (const { at, after, events } of history.watches
    .filter((watch) => watch.job === job)
    .flatMap((watch) => watch.connections))
    timed.push([
      at,
      `a watcher connected after ${after} and was sent ${events.map(({ id, event }) => `${id} ${event}`).join(", ")}`,
    ]);
  const [from = 0] = timed.map(([at]) => at).toSorted((a, b) => a - b);
  const to = Math.max(from, ...timed.map(([at]) => at));
  for (const { at, until, fault } of history.faults)
    if (until > from - 1000 && at < to + 1000)
      timed.push([at, `  fault until ${((until - from) / 1000).toFixed(3)}: ${fault}`]);
  const final = history.final.find((each) => each.job === job);
  return [
    `${job}:`,
    ...timed
      .toSorted((a, b) => a[0] - b[0])
      .map(([at, what]) => `  ${((at - from) / 1000).toFixed(3).padStart(9)} s  ${what}`),
    final === undefined
      ? "  it is not there at the end"
      : `  at the end: ${final.status} (${final.code}), attempt ${final.attempt}, result ${cut(final.result)}`,
    ...(final?.events ?? []).map(({ id, event, data }) => `    ${id} ${event} ${cut(data)}`),
  ];
}

/** Writes all of it down for a closer look. Returns where. */
export function keep(history: History, logs: string): string {
  const dir = mkdtempSync(join(tmpdir(), "athanor-faults-failed-"));
  writeFileSync(join(dir, "history.json"), JSON.stringify(history));
  writeFileSync(join(dir, "servers.log"), logs);
  return dir;
}

function cut(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
