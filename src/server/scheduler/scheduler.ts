import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { ReplicaJson } from "../../protocol/wire.ts";
import type { ReplicaStarter } from "../replicas/hub.ts";
import type { ReplicaSession } from "../replicas/session.ts";
import type { RunnableDeployment } from "./deployment.ts";

/** A pino logger is one. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface SchedulerOptions {
  starter: ReplicaStarter;
  /** Where a replica finds the server, and a token of its own; asked at each start, as the port is known only then. */
  access(deployment: RunnableDeployment): { serverUrl: string; serverToken: string };
  /** The next replica's number; ascending, never the same again. See numbers.ts. */
  nextReplica(): number;
  log: Log;
  /** Called for each replica as it starts, so that its log lines can be kept. */
  onReplica?(session: ReplicaSession, deployment: RunnableDeployment, group: ReplicaGroup): void;
  now?(): number;
}

/** A place on a ready replica, for one call. Release it once, when the call is over. */
export interface Lease {
  readonly session: ReplicaSession;
  release(): void;
}

export interface AcquireRequest {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  /** Aborted: the caller has gone; the request leaves the queue and the promise rejects with `cancelled`. */
  signal: AbortSignal;
}

/** Starts, keeps and stops replicas, and hands out places on them. */
export class Scheduler implements AsyncDisposable {
  readonly options: SchedulerOptions;
  constructor(options: SchedulerOptions) {
    this.options = options;
  }
  async start(): Promise<void> {}
  /** Refuses what is held with `shutting_down`, drains every replica, kills those that do not leave. Repeatable. */
  async stop(): Promise<void> {}
  /** Call for each live deployment at start and after each activation: keeps its minReplicas, and its replicas warm. */
  add(_deployment: RunnableDeployment): void {}
  /** The deployment is live no more: its replicas leave once no job or request needs them. */
  retire(_deployment: number): void {}
  /** Plans again at once; only needed where something changed that the scheduler cannot see. */
  wake(): void {}
  /** A place on a ready replica, if one has room now; synchronous, for the hot path. Then `acquire` need not be called. */
  tryAcquire(_deployment: RunnableDeployment, _fn: FunctionSpec): Lease | null {
    throw new Error("not written yet");
  }
  /**
   * A place on a ready replica; starts one where there is none, and holds the call for up to the endpoint's serviceStartupTimeoutS.
   * Rejects with startup_failed, startup_timeout, out_of_memory (why no replica came), overloaded (too many are held), cancelled, shutting_down.
   */
  async acquire(_request: AcquireRequest): Promise<Lease> {
    throw new Error("not written yet");
  }
  replicas(): ReplicaJson[] {
    return [];
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
