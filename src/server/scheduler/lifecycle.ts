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
import type { SchedulerPolicy } from "./plan.ts";
import { diedUnused, startFailure } from "./start-failure.ts";

export interface LifecycleOptions {
  starter: ReplicaStarter;
  /** Where a replica finds the server, and a token that holds while that replica lives; asked at each start, as the port is known only then. */
  access(deployment: RunnableDeployment, replicaId: string): { serverUrl: string; serverToken: string };
  /** The next replica's number; ascending, never the same again. See numbers.ts. */
  nextReplica(): number;
  log: Pick<Log, "info" | "warn">;
  /** Called for each replica as it starts, so that its log lines can be kept. */
  onReplica?(session: ReplicaSession, deployment: RunnableDeployment, group: ReplicaGroup): void;
  /** Called at each change of a replica's state; `reason` says why it left or did not start, where that is known. */
  onState?(p: ReplicaStateChange): void;
}

export interface ReplicaStateChange {
  replicaId: string;
  app: string;
  deployment: number;
  state: Replica["state"] | "ended";
  reason: string | null;
}

/** What becomes of replicas, for whoever plans. */
export interface LifecycleListener {
  ready(replica: Replica): void;
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

/** A replica that lived so long after it was ready did not fail to start. */
const STABLE_MS = 30_000;

/**
 * Takes each replica from its start to its end. The only one that changes a replica's `state` and a group's `failure`.
 *
 *   (none)   --start()-->                        starting
 *   starting --its session is ready-->           ready      listener.ready
 *   starting --its session fails-->              draining   killed; listener.startFailed
 *   starting --drain(): nobody waits for it-->   draining   killed
 *   ready    --drain()-->                        draining   its calls have drainMs to finish, then it is killed
 *   any      --its process is gone-->            (none)     listener.gone; of one that was ready for a moment only and had no call,
 *                                                           listener.startFailed
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #policy: SchedulerPolicy;
  readonly #now: () => number;
  readonly #listener: LifecycleListener;

  constructor(options: LifecycleOptions, policy: SchedulerPolicy, now: () => number, listener: LifecycleListener) {
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
      this.#failed(group, error);
      return null;
    }
    const replica: Replica = {
      session,
      group,
      state: "starting",
      load: 0,
      idleSince: null,
      readyAt: null,
      used: false,
    };
    group.replicas.push(replica);
    const { deployment, functionNames } = group;
    this.#options.log.info({ replica: session.id, app: deployment.app, functions: functionNames }, "replica starts");
    this.#options.onReplica?.(session, deployment, group.group);
    this.#tell(replica, "starting");
    session.ready.then(
      () => this.#becameReady(replica),
      (error: unknown) => this.#didNotStart(replica, error),
    );
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
    if (wanted) this.#tell(replica, "draining", messageOf(error));
    if (wanted) this.#failed(replica.group, error);
    void replica.session.kill();
  }

  #ended(replica: Replica, exit: ReplicaExit): void {
    const { group, session, state } = replica;
    const index = group.replicas.indexOf(replica);
    if (index !== -1) group.replicas.splice(index, 1);
    this.#tell(replica, "ended", exitReason(exit));
    this.#options.log.info(
      { replica: session.id, app: group.deployment.app, code: exit.code, signal: exit.signal, reason: exit.reason },
      "replica ended",
    );
    if (state === "ready" && !replica.used && this.#now() - Number(replica.readyAt) < STABLE_MS) {
      this.#failed(group, diedUnused(exit));
      return;
    }
    if (replica.used || state === "ready") group.failure = null;
    this.#listener.gone(group);
  }

  #tell({ session, group }: Replica, state: ReplicaStateChange["state"], reason: string | null = null): void {
    const { app, number } = group.deployment;
    this.#options.onState?.({ replicaId: session.id, app, deployment: number, state, reason });
  }

  #failed(group: Group, cause: unknown): void {
    group.failure = startFailure({ cause, before: group.failure, policy: this.#policy, now: this.#now() });
    const { error, failures, delayMs } = group.failure;
    this.#options.log.warn(
      { app: group.deployment.app, functions: group.functionNames, code: error.code, failures, delayMs },
      `replica did not start: ${error.detail}`,
    );
    this.#listener.startFailed(group);
  }
}
