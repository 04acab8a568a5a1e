import type { AppUnderTest } from "./app-under-test.ts";
import { request } from "./ask.ts";
import type { History } from "./history.ts";
import type { Member } from "./member.ts";
import { monotonicMs } from "./monotonic.ts";
import { type Fault, faultText, laneOf } from "./plan.ts";
import type { System } from "./system.ts";

/** What faults strike, and where it is noted. */
export interface Stage {
  system: System;
  app: AppUnderTest;
  history: History;
}

/** Strikes with every fault of the plan at its time; the faults of a lane one after the other. Ends when all is whole again. */
export async function strikeAll(
  stage: Stage,
  plan: readonly Fault[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = monotonicMs();
  const lanes = Map.groupBy(plan, laneOf);
  const run = async (faults: Fault[]): Promise<void> => {
    for (const fault of faults) {
      await sleep(startedAt + fault.atMs - monotonicMs(), signal);
      if (signal.aborted) return;
      const at = monotonicMs();
      const done = await strike(stage, fault);
      stage.history.faults.push({ at, until: monotonicMs(), fault: `${faultText(fault)}${done}` });
      say(`${faultText(fault)}${done}`);
    }
  };
  await Promise.all([...lanes.values()].map(run));
}

/** Says what it met, where that is not in the plan. */
async function strike(stage: Stage, fault: Fault): Promise<string> {
  const { system, history } = stage;
  switch (fault.type) {
    case "kill server":
    case "drain server":
      await restart(memberOf(system, fault.server), fault.type);
      return "";
    case "kill all":
      await Promise.all([system.database?.kill(), ...system.members.map((member) => member.kill())]);
      await system.database?.start();
      await Promise.all(system.members.map((member) => member.start()));
      return "";
    case "hold server": {
      const member = memberOf(system, fault.server);
      member.signal("SIGSTOP");
      await sleep(fault.forMs);
      member.signal("SIGCONT");
      return "";
    }
    case "skew clock": {
      const member = memberOf(system, fault.server);
      member.skewClock(fault.byMs);
      await sleep(fault.forMs);
      member.skewClock(0);
      return "";
    }
    case "fill disk": {
      const { disk } = memberOf(system, 0);
      disk?.fill();
      await sleep(fault.forMs);
      disk?.free();
      return "";
    }
    case "kill replica":
    case "hold replica":
      return await hurtReplica(system, fault, history);
    case "deploy":
      try {
        await stage.app.deploy(system, fault.version);
        return "";
      } catch (error) {
        return `: ${(error as Error).message.slice(0, 200)}`;
      }
    case "pause queue":
      return await pauseQueue(stage, fault);
    case "kill database":
      await system.database?.kill();
      await sleep(fault.forMs);
      await system.database?.start();
      return "";
    case "cut off server": {
      const { namespace } = memberOf(system, fault.server);
      namespace?.cut();
      await sleep(fault.forMs);
      namespace?.heal();
      return "";
    }
    case "cut network": {
      const network = system.database?.networks[fault.server];
      network?.cut();
      await sleep(fault.forMs);
      network?.heal();
      return "";
    }
  }
}

async function restart(member: Member, type: "kill server" | "drain server"): Promise<void> {
  if (type === "kill server") await member.kill();
  else await member.stop();
  await member.start();
}

const PAUSED_NAMES = ["plain", "ordered", "keyed"];

/** The queue is resumed in any case, however often that has to be asked. */
async function pauseQueue({ system, history }: Stage, fault: Fault & { type: "pause queue" }): Promise<string> {
  const name = PAUSED_NAMES[Math.floor(fault.pick * PAUSED_NAMES.length)] ?? "plain";
  const paused = await setPaused(system, name, true);
  const from = monotonicMs();
  await sleep(fault.forMs);
  const to = monotonicMs();
  await resume(system, name);
  if (paused) history.pauses.push({ function: name, from, to });
  return `: ${name}${paused ? "" : ", which was not answered"}`;
}

/** A request to pause that was not answered may have been done after the one to resume. */
export async function resumeAll(system: System): Promise<void> {
  for (const name of PAUSED_NAMES) await resume(system, name);
}

async function resume(system: System, name: string): Promise<void> {
  while (!(await setPaused(system, name, false))) await sleep(100);
}

async function setPaused(system: System, name: string, paused: boolean): Promise<boolean> {
  const path = `/v1/queues/faults/${name}/${paused ? "pause" : "resume"}`;
  try {
    return (await request(await system.endpoint(0), "POST", path)).status === 200;
  } catch {
    return false;
  }
}

async function hurtReplica(
  system: System,
  fault: Fault & { type: "kill replica" | "hold replica" },
  history: History,
): Promise<string> {
  let replicas = await system.replicas();
  // Their server may have been started a moment ago.
  for (let tries = 0; replicas.length === 0 && tries < 20; tries++) {
    await sleep(100);
    replicas = await system.replicas();
  }
  const chosen = replicas[Math.floor(fault.pick * replicas.length)];
  if (chosen?.pid == null) return ": there was none";
  history.hurtReplicas.push(chosen.replica_id);
  try {
    if (fault.type === "kill replica") process.kill(chosen.pid, "SIGKILL");
    else {
      process.kill(chosen.pid, "SIGSTOP");
      await sleep(fault.forMs);
      process.kill(chosen.pid, "SIGCONT");
    }
  } catch {
    return `: ${chosen.replica_id} had gone`;
  }
  return `: ${chosen.replica_id} of ${chosen.functions.join(", ")}`;
}

function memberOf(system: System, index: number): Member {
  const member = system.members[index];
  if (member === undefined) throw new Error(`there is no server ${index}`);
  return member;
}

/** Ends early where the signal aborts. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (ms <= 0 || signal?.aborted) return resolve();
    const over = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal?.addEventListener("abort", over, { once: true });
  });
}
