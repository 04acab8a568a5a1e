import { FUNCTION_DEFAULTS } from "../../protocol/defaults.ts";
import { httpFaceOf, type ReplicaGroup } from "../../protocol/groups.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import { Alarm, MAX_TIMER_MS } from "../alarm.ts";
import type { ReplicaSession, StartingReplica } from "../replicas/session.ts";
import type { ClaimFunction } from "../store/store.ts";
import type { RunnableDeployment } from "./deployment.ts";
import { HeldRequests } from "./held.ts";
import type { GroupSnapshot } from "./plan.ts";
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
  /** It has been given a call; one that dies before has failed to start, whatever it said. */
  used: boolean;
}

/** A place on a ready replica, for one call. Release it once, when the call is over. */
export interface Lease {
  readonly session: ReplicaSession;
  /** Aborts when a call that would never end by itself, such as a WebSocket, is to be ended: see Group.endCalls. */
  readonly ending: AbortSignal;
  release(): void;
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
  readonly held = new HeldRequests<Lease>();
  #live = false;
  #ending = new AbortController();
  #endTimer: NodeJS.Timeout | null = null;
  /** Replicas that are kept although nothing needs them yet: the deployment is about to be live. Kept by preparations.ts. */
  prepared = 0;
  /** Jobs of the group that could run now; kept by the dispatcher. May be too high, never too low. */
  dueJobs = 0;
  /** Jobs may be due that only a limit of their function keeps from running; kept by the dispatcher. */
  heldBack = false;
  /** Grows whenever `dueJobs` is raised, so that an answer from the store that is older than that is known as such. */
  dueVersion = 0;
  /** The rate limit of the group's one function lets no job start before this time. */
  heldUntil = 0;
  failure: StartFailure | null = null;
  /** Rings when the group is to be planned again although nothing happened to it. */
  readonly alarm: Alarm;
  /** Taken out of the scheduler; a new object stands for the group if it is needed again. */
  forgotten = false;
  readonly #first: FunctionSpec;

  constructor(deployment: RunnableDeployment, group: ReplicaGroup, wake: (group: Group) => void, now: () => number) {
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
    this.alarm = new Alarm({ now, ring: () => wake(this) });
  }

  get live(): boolean {
    return this.#live;
  }

  /** Its deployment is live, or no longer: then calls have drainMs, and those that would never end are told to. */
  setLive(live: boolean): void {
    if (this.#live === live) return;
    this.#live = live;
    if (live) {
      this.clearTimers();
      if (this.#ending.signal.aborted) this.#ending = new AbortController();
    } else this.#endTimer = setTimeout(() => this.endCalls(), Math.min(this.drainMs, MAX_TIMER_MS));
  }

  /** Tells calls that would never end by themselves to end; others go on until they are done. */
  endCalls(): void {
    this.#ending.abort();
  }

  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  clearTimers(): void {
    this.alarm.clear();
    if (this.#endTimer !== null) clearTimeout(this.#endTimer);
    this.#endTimer = null;
  }

  /** The ready replica with the fewest calls that has room for one more. */
  leastLoaded(): Replica | null {
    let best: Replica | null = null;
    for (const replica of this.replicas) {
      if (replica.state !== "ready" || replica.load >= this.concurrency || !replica.session.takesCalls) continue;
      if (best === null || replica.load < best.load) best = replica;
    }
    return best;
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
    return this.#first.maxReplicas;
  }

  get keepWarmMs(): number {
    return this.#first.keepWarmS * 1000;
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
    return {
      live: this.live,
      minReplicas: this.minReplicas,
      prepared: this.prepared,
      maxReplicas: this.maxReplicas,
      concurrency: this.concurrency,
      keepWarmMs: this.keepWarmMs,
      waiting: this.held.size + this.dueJobs + (this.#keepsOne ? 1 : 0),
      backoffUntil: this.failure?.until ?? null,
      replicas: this.replicas.map(({ session, state, load, idleSince }) => ({
        id: session.id,
        state,
        load,
        idleSince,
      })),
    };
  }
}
