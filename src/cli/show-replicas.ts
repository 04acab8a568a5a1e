import type { GroupReplicaJson, ReplicaEndJson, ReplicaGroupJson, StartTimingsJson } from "../protocol/wire.ts";
import { fields, printable, table } from "./output.ts";

/** What runs of a deployment on the server that answered, group by group, and why what does not run does not. */
export function showReplicaGroups(groups: readonly ReplicaGroupJson[]): string {
  if (groups.length === 0) return "No replica of it runs or is wanted on this server.";
  return groups.map(showGroup).join("\n\n");
}

function showGroup(group: ReplicaGroupJson): string {
  const { scaling, demand } = group;
  const head = fields([
    [
      "replicas",
      `${counts(group)}; ${scaling.min_replicas} to ${scaling.max_replicas}, ${scaling.concurrency} calls each`,
    ],
    ["calls", `${group.running} running, ${group.waiting} waiting${demand === null ? "" : `; ${demandText(demand)}`}`],
    ["failure", failureText(group.last_failure)],
  ]);
  const parts = [`${group.name}${sharedBy(group)}`, indented(head)];
  if (group.replicas.length > 0) parts.push(indented(replicaTable(group.replicas)));
  if (group.last_exits.length > 0) parts.push(indented(exitTable(group.last_exits)));
  return parts.join("\n");
}

const sharedBy = ({ name, functions }: ReplicaGroupJson): string =>
  functions.length === 1 && functions[0] === name ? "" : `: ${functions.join(", ")}`;

function counts({ wanted, ready, starting, draining }: ReplicaGroupJson): string {
  return `${wanted} wanted, ${ready} ready, ${starting} starting, ${draining} draining`;
}

function demandText(demand: NonNullable<ReplicaGroupJson["demand"]>): string {
  const burst = demand.panic_until === null ? "" : `, a burst: none is taken away before ${demand.panic_until}`;
  const { stable_average: stable, panic_average: panic, peak } = demand;
  return `of late ${stable} at a time on average, just now ${panic}, at most ${peak}${burst}`;
}

function failureText(failure: ReplicaGroupJson["last_failure"]): string | null {
  if (failure === null) return null;
  const { code, message, failures, at, next_try_at: next } = failure;
  const often = failures === 1 ? "1 start failed" : `${failures} starts in a row failed`;
  return `${often}, last at ${at}; the next may be tried at ${next}\n  ${code}: ${lines(message)}`;
}

function replicaTable(replicas: readonly GroupReplicaJson[]): string {
  const rows = replicas.map((replica) => [
    replica.replica_id,
    replica.status,
    replica.pid === null ? "-" : String(replica.pid),
    String(replica.running),
    replica.idle_since ?? "-",
    timingsText(replica.timings),
  ]);
  return table(["REPLICA", "STATUS", "PID", "CALLS", "IDLE SINCE", "START (ms)"], rows);
}

/** Only phases that are over. */
function timingsText(timings: StartTimingsJson): string {
  const { queued_ms, process_ms, from_pool, connect_ms, load_ms, enter_ms, listen_ms } = timings;
  const phases: [string, number | null][] = [
    ["queued", queued_ms],
    [from_pool === true ? "from pool" : "process", process_ms],
    ["connect", connect_ms],
    ["load", load_ms],
    ["enter", enter_ms],
    ["listen", listen_ms],
  ];
  return phases.flatMap(([name, ms]) => (ms === null ? [] : [`${name} ${Math.round(ms)}`])).join(", ");
}

function exitTable(exits: readonly ReplicaEndJson[]): string {
  const rows = exits.map(({ replica_id, at, reason, status, ready_s, last_stderr }) => [
    replica_id,
    at,
    reason,
    status,
    ready_s === null ? "never" : `${ready_s} s`,
    printable(last_stderr.at(-1) ?? ""),
  ]);
  return table(["ENDED", "AT", "REASON", "STATUS", "READY FOR", "LAST LINE OF STDERR"], rows);
}

const lines = (text: string): string => text.split("\n").map(printable).join("\n  ");
const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, "  ");
