import { FUNCTION_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { ReplicaGroup } from "../../protocol/groups.ts";
import { formatId } from "../../protocol/names.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { ReplicaJson } from "../../protocol/wire.ts";
import type { ReplicaStarter } from "../replicas/hub.ts";
import type { ReplicaSession, StartingReplica } from "../replicas/session.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { Group, type Lease, type Replica } from "./group.ts";
import { plan, type SchedulerPolicy, startBackoffMs } from "./plan.ts";

export type { Lease } from "./group.ts";

/** A pino logger is one. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface SchedulerOptions {
  starter: ReplicaStarter;
  /** Where a replica finds the server, and a token that holds while that replica lives; asked at each start, as the port is known only then. */
  access(deployment: RunnableDeployment, replicaId: string): { serverUrl: string; serverToken: string };
  /** The next replica's number; ascending, never the same again. See numbers.ts. */
  nextReplica(): number;
  log: Log;
  /** Called for each replica as it starts, so that its log lines can be kept. */
  onReplica?(session: ReplicaSession, deployment: RunnableDeployment, group: ReplicaGroup): void;
  policy?: SchedulerPolicy;
  /** Default SERVER_DEFAULTS.maxHeldRequests, for each group. */
  maxHeldRequests?: number;
  now?(): number;
}

export interface AcquireRequest {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  /** Aborted: the caller has gone; the request leaves the queue and the promise rejects with `cancelled`. */
  signal: AbortSignal;
}

/** What hears that a group's jobs may find room. */
export type RoomListener = (group: Group) => void;

/** A replica that lived so long after it was ready did not fail to start. */
const STABLE_MS = 30_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Starts, keeps and stops replicas, and hands out places on them. Each group is planned anew when something happened to it
 * (a call came and found no room, a replica became ready or ended, a timer that the last plan asked for), never by polling.
 */
export class Scheduler implements AsyncDisposable {
  readonly #options: SchedulerOptions;
  readonly #policy: SchedulerPolicy;
  readonly #maxHeld: number;
  readonly #now: () => number;
  readonly #groups = new Map<FunctionSpec, Group>();
  readonly #byDeployment = new Map<number, Group[]>();
  #onRoom: RoomListener = () => {};
  #stopping = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#policy = options.policy ?? { backoffBaseMs: 500, backoffMaxMs: 30_000 };
    this.#maxHeld = options.maxHeldRequests ?? SERVER_DEFAULTS.maxHeldRequests;
    this.#now = options.now ?? Date.now;
  }

  async start(): Promise<void> {
    this.#stopping = false;
    this.wake();
  }

  /** Refuses what is held with `shutting_down`, drains every replica, kills those that do not leave. Repeatable. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const ends: Promise<unknown>[] = [];
    for (const group of this.groups()) {
      clearPlanTimer(group);
      group.held.rejectAll(() => shuttingDown());
      for (const replica of group.replicas) {
        ends.push(replica.session.ended);
        this.#drain(replica);
      }
    }
    await Promise.all(ends);
  }

  /** Call for each live deployment at start and after each activation: keeps its minReplicas, and its replicas warm. */
  add(deployment: RunnableDeployment): void {
    for (const group of this.#groupsOf(deployment)) {
      group.live = true;
      this.replan(group);
    }
  }

  /** The deployment is live no more: its replicas leave once no job or request needs them. */
  retire(deployment: number): void {
    for (const group of [...(this.#byDeployment.get(deployment) ?? [])]) {
      group.live = false;
      this.replan(group);
    }
  }

  /** Plans everything again; only needed where something changed that the scheduler cannot see. */
  wake(): void {
    for (const group of [...this.groups()]) this.replan(group);
  }

  /** A place on a ready replica, if one has room now; synchronous, for the hot path. Then `acquire` need not be called. */
  tryAcquire(deployment: RunnableDeployment, fn: FunctionSpec): Lease | null {
    const group = this.#groups.get(fn) ?? this.groupFor(deployment, fn);
    // Those that wait already go first.
    if (group.held.size > 0) return null;
    const replica = group.leastLoaded();
    return replica === null ? null : this.#lease(replica);
  }

  /**
   * A place on a ready replica; starts one where there is none, and holds the call for up to the endpoint's serviceStartupTimeoutS.
   * Rejects with startup_failed, startup_timeout, out_of_memory (why no replica came), overloaded (too many are held), cancelled, shutting_down.
   */
  async acquire({ deployment, fn, signal }: AcquireRequest): Promise<Lease> {
    if (this.#stopping) throw shuttingDown();
    const lease = this.tryAcquire(deployment, fn);
    if (lease !== null) return lease;
    if (signal.aborted) throw new AthanorError("cancelled", "The caller left before the request had a replica.");

    const group = this.groupFor(deployment, fn);
    if (group.held.size >= this.#maxHeld) {
      const detail = `${group.held.size} requests already wait for a replica of ${describe(group)}, and no more may.`;
      throw new AthanorError("overloaded", detail, { headers: { "retry-after": "1" } });
    }
    if (this.noCapacity(group) !== null) throw this.#startError(group);
    const timeoutS = fn.endpoint?.serviceStartupTimeoutS ?? FUNCTION_DEFAULTS.serviceStartupTimeoutS;
    const held = group.held.hold({
      timeoutMs: Math.min(timeoutS * 1000, MAX_TIMER_MS),
      signal,
      expired: () => holdExpired(group, timeoutS),
    });
    this.replan(group);
    return await held;
  }

  replicas(): ReplicaJson[] {
    return [...this.groups()].flatMap((group) => group.replicas.map((replica) => replicaJson(replica)));
  }

  // For the dispatcher of jobs

  /** The one listener that is told when a replica with room may take jobs of a group that has due ones. */
  onRoom(listener: RoomListener): void {
    this.#onRoom = listener;
  }

  groupFor(deployment: RunnableDeployment, fn: FunctionSpec): Group {
    const groups = this.#groupsOf(deployment);
    const group = groups.find((candidate) => candidate.group.functions.some(({ name }) => name === fn.name));
    if (group === undefined)
      throw new AthanorError(
        "function_not_found",
        `${formatId("deployments", deployment.number)} has no function ${fn.name}.`,
      );
    return group;
  }

  /** All that is known. */
  *groups(): Iterable<Group> {
    for (const groups of this.#byDeployment.values()) yield* groups;
  }

  /** As groupFor, but only where the group is known already. */
  peek(deployment: number, fn: string): Group | undefined {
    return this.#byDeployment.get(deployment)?.find((group) => group.functionNames.includes(fn));
  }

  /** Takes places for jobs. The caller has seen that there is room. */
  take(replica: Replica, places: number): void {
    replica.load += places;
    replica.idleSince = null;
    replica.used = true;
  }

  give(replica: Replica, places: number): void {
    if (places === 0) return;
    replica.load -= places;
    const { group } = replica;
    if (group.held.size > 0) this.#serveHeld(group);
    if (group.dueJobs > 0 && replica.load < group.concurrency) this.#onRoom(group);
    if (replica.load === 0 && replica.state === "ready") this.#becomeIdle(replica);
  }

  /** Why no replica of the group can be had just now: the last start's error; null where one is there, coming, or may be tried. */
  noCapacity(group: Group): AthanorError | null {
    if (group.failure === null || group.has("ready") || group.has("starting")) return null;
    return this.#now() < group.failure.until ? group.failure.error : null;
  }

  /** Applies what the plan says of this group now. */
  replan(group: Group): void {
    clearPlanTimer(group);
    if (this.#stopping || group.forgotten) return;
    const now = this.#now();
    const { start, drain, wakeAt } = plan(group.snapshot(), now);
    for (let i = 0; i < start; i++) this.#startReplica(group);
    for (const replica of group.replicas.filter(({ session }) => drain.includes(session.id))) this.#drain(replica);
    if (wakeAt !== null) this.#planAt(group, wakeAt);
    if (group.unused) this.#forget(group);
  }

  #lease(replica: Replica): Lease {
    this.take(replica, 1);
    let held = true;
    return {
      session: replica.session,
      release: () => {
        if (held) this.give(replica, 1);
        held = false;
      },
    };
  }

  #serveHeld(group: Group): void {
    while (group.held.size > 0) {
      const replica = group.leastLoaded();
      if (replica === null) return;
      group.held.resolveFirst(this.#lease(replica));
    }
  }

  #becomeIdle(replica: Replica): void {
    replica.idleSince = this.#now();
    const { group } = replica;
    if (!group.live || group.keepWarmMs === 0) this.replan(group);
    else this.#planAt(group, replica.idleSince + group.keepWarmMs);
  }

  /** A timer that stands earlier is left alone: when it fires, the plan says when to look again. So busy groups set no timers. */
  #planAt(group: Group, at: number): void {
    if (this.#stopping || (group.timerAt !== null && group.timerAt <= at)) return;
    clearPlanTimer(group);
    group.timerAt = at;
    const delayMs = Math.min(Math.max(0, at - this.#now()), MAX_TIMER_MS);
    group.timer = setTimeout(() => this.replan(group), delayMs);
  }

  #startReplica(group: Group): void {
    const { deployment } = group;
    const replicaId = formatId("replicas", this.#options.nextReplica());
    let session: StartingReplica;
    try {
      const { serverUrl, serverToken } = this.#options.access(deployment, replicaId);
      session = this.#options.starter.startReplica({
        replicaId,
        deployment,
        group: group.group,
        serverUrl,
        serverToken,
      });
    } catch (error) {
      this.#startFailed(group, error);
      return;
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
    this.#options.log.info(
      { replica: replicaId, app: deployment.app, functions: group.functionNames },
      "replica starts",
    );
    this.#options.onReplica?.(session, deployment, group.group);
    session.ready.then(
      () => this.#replicaReady(replica),
      (error: unknown) => this.#replicaFailed(replica, error),
    );
    void session.ended.then(() => this.#replicaEnded(replica));
  }

  #replicaReady(replica: Replica): void {
    if (replica.state !== "starting") return;
    const { group } = replica;
    replica.state = "ready";
    replica.readyAt = this.#now();
    replica.idleSince = replica.readyAt;
    this.#options.log.info({ replica: replica.session.id, app: group.deployment.app }, "replica ready");
    this.#serveHeld(group);
    if (group.dueJobs > 0) this.#onRoom(group);
    this.replan(group);
  }

  #replicaFailed(replica: Replica, error: unknown): void {
    const wanted = replica.state === "starting";
    // It no longer counts as one that is coming; it counts against the maximum until its process is gone.
    replica.state = "draining";
    if (wanted) this.#startFailed(replica.group, error);
    void replica.session.kill();
  }

  async #replicaEnded(replica: Replica): Promise<void> {
    const { group, session } = replica;
    const exit = await session.ended;
    const index = group.replicas.indexOf(replica);
    if (index !== -1) group.replicas.splice(index, 1);
    this.#options.log.info(
      { replica: session.id, app: group.deployment.app, code: exit.code, signal: exit.signal, reason: exit.reason },
      "replica ended",
    );
    if (replica.state === "ready" && !replica.used && this.#now() - Number(replica.readyAt) < STABLE_MS) {
      const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
      const lines = exit.lastStderr.length === 0 ? "" : ` Its last lines of stderr: ${exit.lastStderr.join("\n")}`;
      this.#startFailed(
        group,
        new AthanorError(
          "startup_failed",
          `The replica became ready and died with ${how} before its first call.${lines}`,
        ),
      );
      return;
    }
    if (replica.used || replica.state === "ready") group.failure = null;
    this.replan(group);
  }

  #startFailed(group: Group, cause: unknown): void {
    const error =
      cause instanceof AthanorError
        ? cause
        : new AthanorError("startup_failed", `No replica could be started: ${String(cause)}`, { cause });
    const failures = (group.failure?.failures ?? 0) + 1;
    const delayMs = startBackoffMs(this.#policy, failures);
    group.failure = { error, failures, until: this.#now() + delayMs };
    this.#options.log.warn(
      { app: group.deployment.app, functions: group.functionNames, code: error.code, failures, delayMs },
      `replica did not start: ${error.detail}`,
    );
    if (!group.has("ready") && !group.has("starting")) group.held.rejectAll(() => this.#startError(group));
    this.replan(group);
  }

  /** The reason of the last failed start, with when the next one is due. */
  #startError(group: Group): AthanorError {
    if (group.failure === null)
      return new AthanorError("startup_failed", `No replica of ${describe(group)} could be started.`);
    const { error, until } = group.failure;
    const retryAfterS = Math.max(1, Math.ceil((until - this.#now()) / 1000));
    return new AthanorError(error.code, error.detail, {
      hint: error.hint,
      headers: { ...error.headers, "retry-after": String(retryAfterS) },
    });
  }

  #drain(replica: Replica): void {
    if (replica.state === "draining") return;
    const { session, group } = replica;
    const starting = replica.state === "starting";
    replica.state = "draining";
    replica.idleSince = null;
    if (starting || session.state !== "ready") {
      void session.kill();
      return;
    }
    const timer = setTimeout(() => void session.kill(), Math.min(group.drainMs, MAX_TIMER_MS));
    void session.ended.then(() => clearTimeout(timer));
    void session.drain();
  }

  #groupsOf(deployment: RunnableDeployment): Group[] {
    const known = this.#byDeployment.get(deployment.number);
    if (known !== undefined) return known;
    const groups = deployment.groups.map((group) => new Group(deployment, group));
    this.#byDeployment.set(deployment.number, groups);
    for (const group of groups) for (const fn of group.group.functions) this.#groups.set(fn, group);
    return groups;
  }

  /** Deployments that are not live and need nothing are let go as a whole, so that groups of one never mix old and new. */
  #forget(group: Group): void {
    const groups = this.#byDeployment.get(group.deployment.number);
    if (groups === undefined || !groups.every((other) => other.unused)) return;
    this.#byDeployment.delete(group.deployment.number);
    for (const other of groups) {
      clearPlanTimer(other);
      other.forgotten = true;
      for (const fn of other.group.functions) this.#groups.delete(fn);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function clearPlanTimer(group: Group): void {
  if (group.timer !== null) clearTimeout(group.timer);
  group.timer = null;
  group.timerAt = null;
}

function describe(group: Group): string {
  return `${group.deployment.app} (${group.functionNames.slice(0, 5).join(", ")})`;
}

function shuttingDown(): AthanorError {
  return new AthanorError("shutting_down", "The server is stopping and takes no more calls.", {
    headers: { "retry-after": "5" },
  });
}

function holdExpired(group: Group, timeoutS: number): AthanorError {
  if (group.has("ready")) {
    const detail = `Every replica of ${describe(group)} was busy for ${timeoutS} s: ${group.replicas.length} of at most ${group.snapshot().maxReplicas}, ${group.concurrency} calls each.`;
    return new AthanorError("overloaded", detail, { headers: { "retry-after": "1" } });
  }
  return new AthanorError("startup_timeout", `No replica of ${describe(group)} was ready within ${timeoutS} s.`);
}

function replicaJson({ session, group, state }: Replica): ReplicaJson {
  return {
    replica_id: session.id,
    app: group.deployment.app,
    deployment_id: formatId("deployments", group.deployment.number),
    functions: group.functionNames,
    status: state,
    pid: session.pid,
    started_at: new Date(session.startedAt).toISOString(),
    jobs: session.jobs,
    requests: session.requests,
  };
}
