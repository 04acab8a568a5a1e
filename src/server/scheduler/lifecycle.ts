import type { ReplicaExit } from "../../engines/engine.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { ReplicaGroup } from "../../protocol/groups.ts";
import { formatId } from "../../protocol/names.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import type { Log } from "../log.ts";
import { exitStatus } from "../replicas/exit.ts";
import type { ReplicaStarter } from "../replicas/hub.ts";
import type { ReplicaSession, StartingReplica } from "../replicas/session.ts";
import type { RunnableDeployment } from "./deployment.ts";
import type { Group, Replica } from "./group.ts";
import type { ScalingPolicy } from "./plan.ts";
import { replicaEnd } from "./replica-end.ts";
import { crashLoop, diedUnused, startFailure } from "./start-failure.ts";

export interface LifecycleOptions {
  starter: ReplicaStarter;
  /** Where a replica finds the server, and a token that holds while that replica lives; asked at each start, as the port is known only then. */
  access(deployment: RunnableDeployment, replicaId: string): { serverUrl: string; serverToken: string };
  /** The next replica's number; ascending, never the same again. See numbers.ts. */
  nextReplica(): number;
  log: Pick<Log, "info" | "warn">;
  /** Called for each replica as it starts, so that its log lines can be kept. */
  onReplica?(session: ReplicaSession, deployment: RunnableDeployment, group: ReplicaGroup): void;
  /** Called in its place for one that was started elsewhere. */
  onAdopted?(session: ReplicaSession): void;
  /** Called at each change of a replica's state; `reason` says why it left or did not start, where that is known. */
  onState?(p: ReplicaStateChange): void;
  /** Called with what those who read the replicas' logs should know: a start has failed, a replica has died. */
  onTrouble?(p: ReplicaTrouble): void;
}

export interface ReplicaStateChange {
  replicaId: string;
  app: string;
  deployment: number;
  state: Replica["state"] | "ended";
  reason: string | null;
}

export interface ReplicaTrouble {
  deployment: number;
  group: ReplicaGroup;
  /** Null: not even a process came of it. */
  replicaId: string | null;
  message: string;
}

/** What becomes of replicas, for whoever plans. */
export interface LifecycleListener {
  ready(replica: Replica): void;
  /** One of the group's replicas that had not answered a probe has. */
  takesCalls(group: Group): void;
  /** The group's last start failed: its `failure` says why. */
  startFailed(group: Group): void;
  /** A replica of the group is gone. */
  gone(group: Group): void;
}

const messageOf = (error: unknown): string =>
  error instanceof AthanorError ? `${error.code}: ${error.detail}` : String(error);

/** Null where it left as it was told to. */
function exitReason(exit: ReplicaExit): string | null {
  if (exit.reason === "stopped") return null;
  return exit.reason === "memory" ? "out_of_memory" : `replica_crashed: ${exitStatus(exit)}`;
}

/**
 * Takes each replica from its start to its end. The only one that changes a replica's `state` and a group's `failure`.
 *
 *   (none)   --start(), adopt()-->               starting
 *   starting --its session is ready-->           ready      listener.ready
 *   starting --its session fails-->              draining   killed; listener.startFailed
 *   starting --drain(): nobody waits for it-->   draining   killed
 *   ready    --drain()-->                        draining   its calls have drainMs to finish, then it is killed
 *   any      --its process is gone-->            (none)     listener.gone; listener.startFailed, where it was ready for a moment only and had
 *                                                           no call, or is one of several in a row that died before they finished one
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #policy: ScalingPolicy;
  readonly #now: () => number;
  readonly #listener: LifecycleListener;

  constructor(options: LifecycleOptions, policy: ScalingPolicy, now: () => number, listener: LifecycleListener) {
    this.#options = options;
    this.#policy = policy;
    this.#now = now;
    this.#listener = listener;
  }

  /** Null where not even a session came of it; the listener has heard that before. */
  start(group: Group): Replica | null {
    let session: StartingReplica;
    try {
      session = this.#startSession(group);
    } catch (error) {
      this.#failed(group, error, null);
      return null;
    }
    this.#options.onReplica?.(session, group.deployment, group.group);
    return this.#follow(group, session);
  }

  /** Takes over one that was started elsewhere, and is as good as one of the group's own. */
  adopt(group: Group, session: StartingReplica): Replica {
    this.#options.onAdopted?.(session);
    return this.#follow(group, session);
  }

  #follow(group: Group, session: StartingReplica): Replica {
    const now = this.#now();
    const replica: Replica = {
      session,
      group,
      state: "starting",
      load: 0,
      idleSince: null,
      readyAt: null,
      startedAt: now,
      queuedMs: group.askedAt === null ? 0 : Math.max(0, now - group.askedAt),
      used: false,
      proven: false,
      failed: false,
    };
    group.replicas.push(replica);
    const { deployment, functionNames } = group;
    this.#options.log.info({ replica: session.id, app: deployment.app, functions: functionNames }, "replica starts");
    this.#tell(replica, "starting");
    session.ready.then(
      () => this.#becameReady(replica),
      (error: unknown) => this.#didNotStart(replica, error),
    );
    session.onTakesCalls(() => this.#listener.takesCalls(group));
    void session.ended.then((exit) => this.#ended(replica, exit));
    return replica;
  }

  drain(replica: Replica): void {
    if (replica.state === "draining") return;
    const { session, group } = replica;
    const starting = replica.state === "starting";
    replica.state = "draining";
    replica.idleSince = null;
    this.#tell(replica, "draining");
    if (starting || session.state !== "ready") {
      void session.kill();
      return;
    }
    const timer = setTimeout(() => void session.kill(), Math.min(group.drainMs, MAX_TIMER_MS));
    void session.ended.then(() => clearTimeout(timer));
    void session.drain();
  }

  #startSession(group: Group): StartingReplica {
    const { deployment } = group;
    const replicaId = formatId("replicas", this.#options.nextReplica());
    const access = this.#options.access(deployment, replicaId);
    return this.#options.starter.startReplica({ replicaId, deployment, group: group.group, ...access });
  }

  #becameReady(replica: Replica): void {
    if (replica.state !== "starting") return;
    replica.state = "ready";
    replica.readyAt = this.#now();
    replica.idleSince = replica.readyAt;
    this.#tell(replica, "ready");
    this.#options.log.info({ replica: replica.session.id, app: replica.group.deployment.app }, "replica ready");
    this.#listener.ready(replica);
  }

  #didNotStart(replica: Replica, error: unknown): void {
    const wanted = replica.state === "starting";
    // It no longer counts as one that is coming; it counts against the maximum until its process is gone.
    replica.state = "draining";
    if (wanted) {
      replica.failed = true;
      this.#tell(replica, "draining", messageOf(error));
      this.#failed(replica.group, error, replica.session.id);
    }
    void replica.session.kill();
  }

  #ended(replica: Replica, exit: ReplicaExit): void {
    const { group, session, state } = replica;
    const now = this.#now();
    const index = group.replicas.indexOf(replica);
    if (index !== -1) group.replicas.splice(index, 1);
    group.ends.push(replicaEnd(replica, exit, now));
    if (group.ends.length > this.#policy.lastExits) group.ends.shift();
    this.#tell(replica, "ended", exitReason(exit));
    this.#options.log.info(
      { replica: session.id, app: group.deployment.app, code: exit.code, signal: exit.signal, reason: exit.reason },
      "replica ended",
    );
    const failure = this.#failureOf(replica, exit, state, now);
    if (failure !== null) {
      this.#failed(group, failure, session.id);
      return;
    }
    if (state === "ready" && exit.reason !== "stopped")
      this.#trouble(group, session.id, `it died: ${exitReason(exit)}`);
    this.#listener.gone(group);
  }

  /** Null: it ended in a way that says nothing against starting the next at once. */
  #failureOf(replica: Replica, exit: ReplicaExit, state: Replica["state"], now: number): AthanorError | null {
    const { group, readyAt, used, proven } = replica;
    if (state !== "ready" || readyAt === null || proven) return null;
    if (now - readyAt >= this.#policy.provenMs) {
      this.proven(replica);
      return null;
    }
    if (!used) return diedUnused(exit);
    // Killed for a call that did not end in time: that is the call's matter.
    if (exit.reason === "stopped") return null;
    group.crashes++;
    return group.crashes < this.#policy.crashLoop ? null : crashLoop(exit, group.crashes);
  }

  /** It has finished a call, or lived for long: its group's code starts, and works. */
  proven(replica: Replica): void {
    replica.proven = true;
    replica.group.failure = null;
    replica.group.crashes = 0;
  }

  #trouble({ deployment, group }: Group, replicaId: string | null, message: string): void {
    this.#options.onTrouble?.({ deployment: deployment.number, group, replicaId, message });
  }

  #tell({ session, group }: Replica, state: ReplicaStateChange["state"], reason: string | null = null): void {
    const { app, number } = group.deployment;
    this.#options.onState?.({ replicaId: session.id, app, deployment: number, state, reason });
  }

  #failed(group: Group, cause: unknown, replicaId: string | null): void {
    group.failure = startFailure({ cause, before: group.failure, policy: this.#policy, now: this.#now() });
    const { error, failures, delayMs } = group.failure;
    this.#options.log.warn(
      { app: group.deployment.app, functions: group.functionNames, code: error.code, failures, delayMs },
      `replica did not start: ${error.detail}`,
    );
    const row = failures === 1 ? "" : `, the ${failures}th time in a row`;
    const next = `the next start is tried in ${delayMs / 1000} s`;
    this.#trouble(group, replicaId, `it did not start${row}; ${next}: ${messageOf(error)}`);
    this.#listener.startFailed(group);
  }
}
