import { FUNCTION_DEFAULTS, SCALING_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { httpFaceOf } from "../../protocol/groups.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { ReplicaGroupJson, ReplicaJson } from "../../protocol/wire.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import type { StartingReplica } from "../replicas/session.ts";
import type { RunnableDeployment } from "./deployment.ts";
import type { Group, Lease, Replica } from "./group.ts";
import { Groups } from "./groups.ts";
import { Lifecycle, type LifecycleOptions } from "./lifecycle.ts";
import { Places } from "./places.ts";
import type { ScalingPolicy } from "./plan.ts";
import { Planning } from "./planning.ts";
import { Preparations } from "./preparations.ts";
import { heldTooLong, noReplicaStarts, shuttingDown, tooManyHeld } from "./refusals.ts";
import { replicaGroupJson, replicaJson } from "./show.ts";

export type { Lease } from "./group.ts";

export interface SchedulerOptions extends LifecycleOptions {
  /** Default SCALING_DEFAULTS. */
  policy?: Partial<ScalingPolicy>;
  /** Default SERVER_DEFAULTS.maxHeldRequests, for each group. */
  maxHeldRequests?: number;
  /** Default SERVER_DEFAULTS.maxConcurrentStarts, over all groups. */
  maxConcurrentStarts?: number;
  /** Default SERVER_DEFAULTS.startTurnMs. */
  startTurnMs?: number;
  now?(): number;
}

export interface AcquireRequest {
  deployment: RunnableDeployment;
  fn: FunctionSpec;
  /** Aborted: the caller has gone; the request leaves the queue and the promise rejects with `cancelled`. */
  signal: AbortSignal;
}

/**
 * Starts, keeps and stops replicas, and hands out places on them. Each group is planned anew when something happened to it
 * (a call came and found no room, a replica became ready or ended, its alarm rang), never by polling.
 *
 *   running, as it is made --stop()--> stopped --start()--> running
 *
 * Parts: what runs where (groups.ts), what should (plan.ts, carried out by planning.ts), what is to be there before it is live (preparations.ts), a
 * replica from start to end (lifecycle.ts), who has a place on it (places.ts), why a call gets none (refusals.ts), what people are told of it (show.ts).
 */
export class Scheduler implements AsyncDisposable {
  readonly places: Places;
  readonly #maxHeld: number;
  readonly #now: () => number;
  readonly #policy: ScalingPolicy;
  readonly #groups: Groups;
  readonly #lifecycle: Lifecycle;
  readonly #planning: Planning;
  readonly #preparations = new Preparations();
  #stopping = false;

  constructor(options: SchedulerOptions) {
    this.#maxHeld = options.maxHeldRequests ?? SERVER_DEFAULTS.maxHeldRequests;
    this.#now = options.now ?? Date.now;
    this.#policy = { ...SCALING_DEFAULTS, ...options.policy };
    this.#groups = new Groups({ now: this.#now, policy: this.#policy, wake: (group) => this.replan(group) });
    this.#lifecycle = new Lifecycle(options, this.#policy, this.#now, {
      ready: (replica) => this.#becameReady(replica),
      takesCalls: (group) => this.places.offer(group),
      startFailed: (group) => this.#startFailed(group),
      gone: (group) => this.#gone(group),
    });
    this.places = new Places({
      proven: (replica) => this.#lifecycle.proven(replica),
      idle: (replica) => this.#becameIdle(replica),
    });
    this.#planning = new Planning({
      policy: this.#policy,
      lifecycle: this.#lifecycle,
      maxConcurrentStarts: options.maxConcurrentStarts ?? SERVER_DEFAULTS.maxConcurrentStarts,
      startTurnMs: options.startTurnMs ?? SERVER_DEFAULTS.startTurnMs,
      now: this.#now,
    });
  }

  async start(): Promise<void> {
    this.#stopping = false;
    this.wake();
  }

  /** Refuses what is held with `shutting_down`, drains every replica, kills those that do not leave. Repeatable. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#planning.clear();
    this.#preparations.endAll(shuttingDown);
    const ends: Promise<unknown>[] = [];
    for (const group of this.groups()) {
      group.clearTimers();
      group.ending.now();
      group.held.rejectAll(shuttingDown);
      for (const replica of group.replicas) {
        ends.push(replica.session.ended);
        this.#lifecycle.drain(replica);
      }
    }
    await Promise.all(ends);
  }

  /** Call for each live deployment at start and after each activation: keeps its minReplicas, and its replicas warm. */
  add(deployment: RunnableDeployment): void {
    for (const group of this.#groups.of(deployment)) {
      group.setLive(true);
      this.replan(group);
    }
    this.#preparations.end(deployment.number);
  }

  /**
   * Starts replicas of a deployment that is to be live next, and keeps them until it is (`add`) or is given up (`abandon`): in each group as many
   * as its app's live deployment has ready in the group of that name, within the group's own minReplicas and maxReplicas. Resolves when all
   * are ready. Rejects with the first failed start's error (startup_failed, startup_timeout, out_of_memory, import_failed), or with
   * shutting_down, or with cancelled where it is given up. `spare`, a replica of the deployment that is ready, becomes one of them, or leaves.
   */
  prepare(deployment: RunnableDeployment, spare: StartingReplica | null = null): Promise<void> {
    if (this.#stopping) {
      void spare?.drain();
      return Promise.reject(shuttingDown());
    }
    const replaced = new Map([...this.#groups.liveOf(deployment.app)].map((group) => [group.group.name, group]));
    const groups = this.#groups.of(deployment);
    if (groups.some(({ live }) => live)) {
      void spare?.drain();
      return Promise.resolve();
    }
    // What needs a port that a replica of the live one has cannot start beside it: its calls wait while it takes its place.
    for (const group of groups) {
      const before = replaced.get(group.group.name);
      group.after = before?.isSole === true ? before : null;
    }
    const prepared = this.#preparations.begin(deployment, groups, ({ group: { name }, minReplicas, maxReplicas }) =>
      Math.min(maxReplicas, Math.max(minReplicas, replaced.get(name)?.count("ready") ?? 0)),
    );
    const heir = groups.find(({ group, prepared }) => group.name === spare?.group && prepared > 0);
    if (heir && spare?.state === "ready") this.#lifecycle.adopt(heir, spare);
    else void spare?.drain();
    for (const group of groups) this.replan(group);
    this.#preparations.ready({ deployment });
    return prepared;
  }

  /** What was prepared is not to be live: its replicas leave. Does nothing where nothing was prepared. */
  abandon(deployment: RunnableDeployment): void {
    this.#preparations.end(deployment.number);
    for (const group of [...this.#groups.peek(deployment.number)]) this.replan(group);
  }

  /** The deployment is live no more: its replicas leave once no job or request needs them. */
  retire(deployment: number): void {
    for (const group of this.#groups.peek(deployment)) {
      group.setLive(false);
      if (group.isSole) group.ending.signal.addEventListener("abort", () => this.#makeRoom(group), { once: true });
      this.replan(group);
    }
  }

  /** Whether no replica of the group of that name can start on this machine beside that of the app's live deployment. */
  isSole(app: string, name: string): boolean {
    return [...this.#groups.liveOf(app)].some((group) => group.group.name === name && group.isSole);
  }

  /** Whether the app's live deployment has a replica ready in the group of that name. */
  isWarm(app: string, name: string): boolean {
    return [...this.#groups.liveOf(app)].some((group) => group.group.name === name && group.has("ready"));
  }

  /** Plans everything again; only needed where something changed that the scheduler cannot see. */
  wake(): void {
    for (const group of [...this.groups()]) this.replan(group);
  }

  /** A place on a ready replica, if one has room now; synchronous, for the hot path. Then `acquire` need not be called. */
  tryAcquire(deployment: RunnableDeployment, fn: FunctionSpec): Lease | null {
    const group = this.#groups.find(deployment, fn);
    // Those that wait already go first.
    if (group.held.size > 0) return null;
    return this.places.lease(group);
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

    const group = this.#groups.find(deployment, fn);
    if (group.held.size >= this.#maxHeld) throw tooManyHeld(group);
    if (this.noCapacity(group) !== null) throw noReplicaStarts(group, this.#now());
    const timeoutS = httpFaceOf(fn)?.serviceStartupTimeoutS ?? FUNCTION_DEFAULTS.serviceStartupTimeoutS;
    const held = group.held.hold({
      timeoutMs: Math.min(timeoutS * 1000, MAX_TIMER_MS),
      signal,
      expired: () => heldTooLong(group, timeoutS),
    });
    this.replan(group);
    return await held;
  }

  replicas(): ReplicaJson[] {
    return [...this.groups()].flatMap((group) => group.replicas.map((replica) => replicaJson(replica)));
  }

  /** What runs of a deployment, and why; for people. Empty where nothing does, or should. */
  show(deployment: number): ReplicaGroupJson[] {
    const now = this.#now();
    return this.#groups.peek(deployment).map((group) => replicaGroupJson(group, this.#policy, now));
  }

  // For the dispatcher of jobs

  groupFor(deployment: RunnableDeployment, fn: FunctionSpec): Group {
    return this.#groups.find(deployment, fn);
  }

  /** All that are known. */
  groups(): Iterable<Group> {
    return this.#groups.all();
  }

  /** As groupFor, but only where the group is known already. */
  peek(deployment: number, fn: string): Group | undefined {
    return this.#groups.peek(deployment).find((group) => group.functionNames.includes(fn));
  }

  /** Why no replica of the group can be had just now: the last start's error; null where one is there, coming, or may be tried. */
  noCapacity(group: Group): AthanorError | null {
    if (group.failure === null || group.has("ready") || group.has("starting")) return null;
    return this.#now() < group.failure.until ? group.failure.error : null;
  }

  /** Applies what the plan says of this group now. */
  replan(group: Group): void {
    group.alarm.clear();
    if (this.#stopping || group.forgotten) return;
    this.#planning.apply(group);
    if (group.unused) this.#groups.forgetUnused(group.deployment.number);
    this.#planning.startInTurn();
  }

  #becameReady({ group }: Replica): void {
    this.places.offer(group);
    this.#preparations.ready(group);
    this.replan(group);
  }

  #becameIdle(replica: Replica): void {
    replica.idleSince = this.#now();
    const { group } = replica;
    if (!group.live || group.keepWarmMs === 0) this.replan(group);
    else if (!this.#stopping) group.alarm.at(replica.idleSince + this.#lookAfterMs(group));
  }

  /** Where there are several, those that share the calls may be too many long before one has been idle for keepWarm. */
  #lookAfterMs({ keepWarmMs, replicas }: Group): number {
    return replicas.length > 1 ? Math.min(keepWarmMs, this.#policy.panicWindowMs) : keepWarmMs;
  }

  #startFailed(group: Group): void {
    if (!group.has("ready") && !group.has("starting")) group.held.rejectAll(() => noReplicaStarts(group, this.#now()));
    this.#preparations.failed(group);
    this.#gone(group);
  }

  #gone(group: Group): void {
    this.replan(group);
    if (group.replicas.length > 0) return;
    for (const next of [...this.groups()]) {
      if (next.after !== group) continue;
      next.after = null;
      this.replan(next);
    }
  }

  /** Its time is over, and another waits for its port: calls that are left have drainMs. */
  #makeRoom(group: Group): void {
    if (!group.live) for (const replica of [...group.replicas]) this.#lifecycle.drain(replica);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
