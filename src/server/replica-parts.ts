import { join } from "node:path";
import { ProcessEngine } from "../engines/process.ts";
import type { ReplicaGroup } from "../protocol/groups.ts";
import { formatId } from "../protocol/names.ts";
import type { Chaos } from "./chaos.ts";
import type { Config } from "./config.ts";
import { keepLines, keepTrouble } from "./deployments/kept-lines.ts";
import type { LoadedDeployment } from "./deployments/loaded.ts";
import { ReplicaLogs } from "./deployments/logs.ts";
import { tryDeployment } from "./deployments/trial.ts";
import type { ServerEvents } from "./events/server-events.ts";
import type { Log } from "./log.ts";
import { ReplicaHub } from "./replicas/hub.ts";
import type { ReplicaSession, StartingReplica } from "./replicas/session.ts";
import type { ReplicaNumbers } from "./scheduler/numbers.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { makeSocketFolder } from "./socket-folder.ts";

/** What starts replicas, speaks with them, and keeps what they write. */
export interface ReplicaParts {
  readonly logs: ReplicaLogs;
  readonly scheduler: Scheduler;
  isLive(replicaId: string): boolean;
  /** See tryDeployment. */
  tryOut(deployment: LoadedDeployment, signal: AbortSignal): Promise<StartingReplica | null>;
  start(): Promise<void>;
  /** Once the scheduler has stopped. */
  stop(): Promise<void>;
}

export interface ReplicaPartsOptions {
  config: Config;
  log: Log;
  /** The program of a replica. */
  runtimePath: string;
  numbers: ReplicaNumbers;
  chaos: Chaos | undefined;
  serverEvents: ServerEvents;
  /** What the code of a replica calls this server with. */
  access(deployment: { app: string }, replicaId: string): { serverUrl: string; serverToken: string };
}

export function wireReplicas(p: ReplicaPartsOptions): ReplicaParts {
  const { config, log, numbers, access } = p;
  const live = new Set<string>();
  const logs = new ReplicaLogs({ dir: join(config.dataDir, "logs"), log });
  const socket = makeSocketFolder(config.dataDir);
  const { address } = socket;
  const engine = new ProcessEngine({
    dir: join(config.dataDir, "replicas"),
    runtimePath: p.runtimePath,
    address,
    blankReplicas: config.blankReplicas,
  });
  const hub = new ReplicaHub({ engine, address, log, inspect: config.inspect });
  const onReplica = (session: ReplicaSession, deployment: { number: number }, group: ReplicaGroup): void => {
    live.add(session.id);
    void session.ended.then(() => live.delete(session.id));
    keepLines(logs, session, deployment.number, group);
  };
  const scheduler = new Scheduler({
    starter: hub,
    nextReplica: () => numbers.next(),
    access,
    log,
    onReplica: (session, deployment, group) => {
      onReplica(session, deployment, group);
      p.chaos?.replica(session);
    },
    onAdopted: (session) => p.chaos?.replica(session),
    onState: (change) => p.serverEvents.replica(change),
    onTrouble: (trouble) => keepTrouble(logs, trouble),
  });
  return {
    logs,
    scheduler,
    isLive: (replicaId) => live.has(replicaId),
    tryOut: (deployment, signal) =>
      tryDeployment({
        deployment,
        starter: hub,
        replicaId: formatId("replicas", numbers.next()),
        access,
        onReplica,
        isSole: (group) => scheduler.isSole(deployment.app, group),
        isWarm: (group) => scheduler.isWarm(deployment.app, group),
        signal,
      }),
    start: async () => {
      await Promise.all([hub.start(), logs.start()]);
      await engine.start();
      await scheduler.start();
    },
    stop: async () => {
      await hub.stop();
      await engine[Symbol.asyncDispose]();
      socket.remove();
      await logs.flush();
    },
  };
}
