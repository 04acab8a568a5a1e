import { FUNCTION_DEFAULTS } from "../../protocol/defaults.ts";
import { httpFaceOf, type ReplicaGroup } from "../../protocol/groups.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import { Alarm } from "../alarm.ts";
import type { ReplicaSession, StartingReplica } from "../replicas/session.ts";
import type { ClaimFunction } from "../store/store.ts";
import { DemandHistory } from "./demand.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { Ending } from "./ending.ts";
import { HeldRequests } from "./held.ts";
import { type GroupSnapshot, NO_MEMORY, type PlanMemory, type ScalingPolicy } from "./plan.ts";
import type { ReplicaEnd } from "./replica-end.ts";
import type { StartFailure } from "./start-failure.ts";

/** One replica as the scheduler counts it; lifecycle.ts has the states, the scheduler keeps the places. */
export interface Replica {
  readonly session: StartingReplica;
  readonly group: Group;
  state: "starting" | "ready" | "draining";
  /** Places taken: by requests, by jobs, and by claims under way. */
  load: number;
  /** Milliseconds since 1970; null while it is not ready or has a call. */
  idleSince: number | null;
  readyAt: number | null;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** For so long its group waited for its turn to start it. */
  readonly queuedMs: number;
  /** It has been given a call; one that dies before has failed to start, whatever it said. */
  used: boolean;
  /** It has finished a call: whatever becomes of it, its code works. */
  proven: boolean;
  /** Its start failed. */
  failed: boolean;
}

/** A place on a ready replica, for one call. Release it once, when the call is over. */
export interface Lease {
  readonly session: ReplicaSession;
  /** Aborts when a call that would never end by itself, such as a WebSocket, is to be ended. */
  readonly ending: AbortSignal;
  release(): void;
}

export interface GroupParts {
  /** Called when the group's alarm rings. */
  wake(group: Group): void;
  now(): number;
  policy: ScalingPolicy;
}

/** The functions that live together in a replica, with the replicas they have and the calls that wait for one. */
export class Group {
  readonly deployment: RunnableDeployment;
  readonly group: ReplicaGroup;
  readonly concurrency: number;
  readonly functionNames: string[];
  /** Its functions with what limits their jobs, as a claim asks for them. */
  readonly claims: ClaimFunction[];
  readonly replicas: Replica[] = [];
  readonly held: HeldRequests<Lease>;
  readonly ending = new Ending();
  /** The group whose place it takes, where that has the one port of both: none of its replicas can start until those are gone. */
  after: Group | null = null;
  #live = false;
  /** What the last plan found, for the next. Kept by the scheduler. */
  memory: PlanMemory = NO_MEMORY;
  /** Replicas that are kept although nothing needs them yet: the deployment is about to be live. Kept by preparations.ts. */
  prepared = 0;
  /** Jobs may be due that only a limit of their function keeps from running; kept by the dispatcher. */
  heldBack = false;
  /** Grows whenever `dueJobs` is raised, so that an answer from the store that is older than that is known as such. */
  dueVersion = 0;
  /** The rate limit of the group's one function lets no job start before this time. */
  heldUntil = 0;
  failure: StartFailure | null = null;
  /** Replicas in a row that died before they had finished a call, though they had one. */
  crashes = 0;
  /** Newest last. */
  readonly ends: ReplicaEnd[] = [];
  /** Since when the group has waited for its turn to start a replica; null: it does not. */
  askedAt: number | null = null;
  /** Rings when the group is to be planned again although nothing happened to it. */
  readonly alarm: Alarm;
  /** Taken out of the scheduler; a new object stands for the group if it is needed again. */
  forgotten = false;
  readonly #first: FunctionSpec;
  readonly #now: () => number;
  readonly #policy: ScalingPolicy;
  #dueJobs = 0;
  /** Places taken, of replicas that are gone too, until they are given back. */
  #taken = 0;
  /** Null while nothing has asked for it, and where there is one replica at most, and nothing hangs on it. */
  #demand: DemandHistory | null = null;

  constructor(deployment: RunnableDeployment, group: ReplicaGroup, p: GroupParts) {
    this.#now = p.now;
    this.#policy = p.policy;
    const first = group.functions[0];
    if (first === undefined) throw new Error(`group ${group.name} has no functions`);
    this.#first = first;
    this.deployment = deployment;
    this.group = group;
    this.concurrency = first.concurrency;
    this.functionNames = group.functions.map((fn) => fn.name);
    this.claims = group.functions.map(({ name, limits: { concurrency, rate } }) => ({
      name,
      concurrency,
      rate: rate === null ? null : { limit: rate.limit, perMs: rate.perS * 1000 },
    }));
    this.held = new HeldRequests(() => this.#nobodyWaits());
    this.alarm = new Alarm({ now: p.now, ring: () => p.wake(this) });
  }

  get live(): boolean {
    return this.#live;
  }

  /** Its deployment is live, or no longer: then calls have drainMs, and those that would never end are told to. */
  setLive(live: boolean): void {
    if (this.#live === live) return;
    this.#live = live;
    if (live) this.ending.never();
    else this.ending.in(this.drainMs);
  }

  clearTimers(): void {
    this.alarm.clear();
    this.ending.clear();
  }

  /** Of the ready replicas that share the calls, the one with the fewest; where these are full, the first of the others with room. */
  leastLoaded(): Replica | null {
    let best: Replica | null = null;
    let seen = 0;
    for (const replica of this.replicas) {
      if (replica.state !== "ready" || !replica.session.takesCalls) continue;
      if (best !== null && seen >= this.memory.sharing) break;
      seen++;
      if (replica.load < this.concurrency && (best === null || replica.load < best.load)) best = replica;
    }
    return best;
  }

  /** Ready replicas that take calls: those that share them, and those that get what these have no place for. */
  inOrder(): [sharing: Replica[], spare: Replica[]] {
    const ready = this.replicas.filter(({ state, session }) => state === "ready" && session.takesCalls);
    return [ready.slice(0, this.memory.sharing), ready.slice(this.memory.sharing)];
  }

  /** Jobs of the group that could run now; kept by the dispatcher. May be too high, never too low. */
  get dueJobs(): number {
    return this.#dueJobs;
  }

  set dueJobs(count: number) {
    this.#dueJobs = count;
    this.#nobodyWaits();
  }

  /** Calls that wait for a place. */
  get waiting(): number {
    return this.held.size + Math.max(0, this.#dueJobs);
  }

  /** So many places more are taken; fewer where it is negative. */
  placesTaken(places: number): void {
    this.#taken += places;
    this.#demand?.set(this.#taken + this.waiting, this.#now());
  }

  /**
   * Jobs that may start now by the limit of the group's one function, as far as this group's own calls tell; a claim that asks for more only
   * comes back short. Infinite where it has no such limit, or several functions.
   */
  get allowed(): number {
    const only = this.claims.length === 1 ? this.claims[0] : undefined;
    if (only === undefined || only.concurrency === null) return Number.POSITIVE_INFINITY;
    return Math.max(0, only.concurrency - this.load);
  }

  claimOf(name: string): ClaimFunction | undefined {
    return this.claims.find((claim) => claim.name === name);
  }

  /** Calls that its replicas hold, claims under way included. */
  get load(): number {
    return this.replicas.reduce((sum, { load }) => sum + load, 0);
  }

  has(state: Replica["state"]): boolean {
    return this.replicas.some((replica) => replica.state === state);
  }

  count(state: Replica["state"]): number {
    return this.replicas.reduce((sum, replica) => (replica.state === state ? sum + 1 : sum), 0);
  }

  get minReplicas(): number {
    return this.#first.minReplicas;
  }

  get maxReplicas(): number {
    if (this.after !== null && this.after.replicas.length > 0) return 0;
    return this.isSole ? 1 : this.#first.maxReplicas;
  }

  /** A replica has shown that it listens on the port of all of them, whatever it was told: no second one can run on this machine. */
  get isSole(): boolean {
    const port = this.#first.service?.server?.port;
    const hasPort = ({ session: { address } }: Replica) =>
      address !== null && "port" in address && address.port === port;
    return port !== undefined && this.replicas.some(hasPort);
  }

  get keepWarmMs(): number {
    return this.#first.keepWarmS * 1000;
  }

  get scaleUpDelayMs(): number {
    // A deployment of an older version has none.
    return (this.#first.scaleUpDelayS ?? FUNCTION_DEFAULTS.scaleUpDelayS) * 1000;
  }

  /** Time that a draining replica has before it is killed. */
  get drainMs(): number {
    const seconds = this.group.functions.map((fn) => httpFaceOf(fn)?.drainTimeoutS ?? FUNCTION_DEFAULTS.drainTimeoutS);
    return Math.max(...seconds) * 1000;
  }

  /** Nothing runs, nothing waits and nothing is to be kept. */
  get unused(): boolean {
    if (this.live || this.prepared > 0 || this.replicas.length > 0) return false;
    return this.held.size === 0 && this.dueJobs === 0 && !this.heldBack;
  }

  /** Of a deployment that is live no more, jobs wait for a limit: one replica is kept, to be there when their turn comes. */
  get #keepsOne(): boolean {
    if (this.live || !this.heldBack || this.dueJobs > 0) return false;
    return this.replicas.length > 0 && this.replicas.every(({ load }) => load === 0);
  }

  snapshot(): GroupSnapshot {
    const now = this.#now();
    if (this.maxReplicas > 1) this.#demand ??= new DemandHistory(this.#policy, now);
    this.#demand?.set(this.#taken + this.waiting, now);
    return {
      live: this.live,
      minReplicas: this.minReplicas,
      prepared: this.prepared,
      maxReplicas: this.maxReplicas,
      concurrency: this.concurrency,
      keepWarmMs: this.keepWarmMs,
      scaleUpDelayMs: this.scaleUpDelayMs,
      waiting: this.waiting + (this.#keepsOne ? 1 : 0),
      demand: this.#demand?.read(now) ?? null,
      backoffUntil: this.failure?.until ?? null,
      replicas: this.replicas.map(({ session, state, load, idleSince }) => ({
        id: session.id,
        state,
        load,
        idleSince,
      })),
      memory: this.memory,
    };
  }

  /** The time for which there are more calls than places begins anew. */
  #nobodyWaits(): void {
    if (this.waiting === 0 && this.memory.shortSince !== null) this.memory = { ...this.memory, shortSince: null };
  }
}
