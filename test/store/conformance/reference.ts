import type { NewJobEvent } from "../../../src/protocol/event.ts";
import type { JobStatus } from "../../../src/protocol/job.ts";
import type { JobOutcome, NewJob } from "../../../src/server/store/store.ts";

/** The store in its simplest form: arrays, searched from end to end. What it says is what every store must do. */

export interface ReferenceJob extends NewJob {
  job: number;
  status: JobStatus;
  hold: "delay" | "key" | null;
  /** Its number, or the newest number when its key had room, and then how many were ready there. */
  place: [number, number];
  attempt: number;
  lost: number;
  crashed: number;
  owner: string | null;
  cancelRequestedAt: number | null;
  endedAt: number | null;
  events: NewJobEvent[];
  first: number;
  hook: { state: "waiting" | "due" | "over"; attempt: number; at: number } | null;
}

export interface Limits {
  concurrency: number | null;
  rate: { limit: number; perMs: number } | null;
}

export const REPLICA = "replicas:1";
const ENDS = { succeed: "succeeded", fail: "failed", timeOut: "timed_out", cancel: "cancelled" } as const;

export class Reference {
  readonly jobs: ReferenceJob[] = [];
  readonly limits: Record<string, Limits>;
  readonly paused = new Set<string>();
  readonly leases = new Map<string, number>();
  now: number;
  #newest = 0;
  #leader: string | null = null;
  #starts: { fn: string; at: number }[] = [];
  /** Idempotency keys, of any age: the clock of a run goes on by seconds. */
  #used = new Map<string, number>();

  constructor(limits: Record<string, Limits>, now: number) {
    this.limits = limits;
    this.now = now;
  }

  get(job: number): ReferenceJob | undefined {
    return this.jobs.find((other) => other.job === job);
  }

  of(fn: string, ...status: JobStatus[]): ReferenceJob[] {
    return this.jobs.filter((job) => job.function === fn && status.includes(job.status));
  }

  /** Its idempotency key made a job that has been deleted. */
  isSpent(p: NewJob): boolean {
    const used = this.#used.get(`${p.function} ${p.idempotency?.key}`);
    return used !== undefined && this.get(used) === undefined;
  }

  /** Null: the queue is full. `places`: those at hand, for one that nothing stands before. `number`: the store's, which may leave some out. */
  insert(
    p: NewJob,
    places: { left: number; owner: string },
    number: number,
  ): { job: ReferenceJob; existing: boolean; position: number; started: boolean } | null {
    const used = this.#used.get(`${p.function} ${p.idempotency?.key}`);
    const earlier = used === undefined ? undefined : this.get(used);
    if (earlier !== undefined)
      return { job: earlier, existing: true, position: this.position(earlier) ?? 0, started: false };
    if (this.of(p.function, "queued").length >= p.queueSize) return null;
    if (number <= this.#newest) throw new Error(`jobs:${number} was made after jobs:${this.#newest}`);
    this.#newest = number;
    const job: ReferenceJob = {
      ...p,
      ...{ job: number, status: "queued", hold: null, place: [number, 0], attempt: 0, lost: 0 },
      ...{ crashed: 0, owner: null, cancelRequestedAt: null, endedAt: null, events: [], first: 1 },
      hook: p.webhook === null ? null : { state: "waiting", attempt: 0, at: 0 },
    };
    job.hold = p.runAfter !== null && p.runAfter > this.now ? "delay" : this.#enter(job);
    if (job.hold !== "delay") job.runAfter = null;
    const position = this.#before({ ...job, hold: "key" }).length + 1;
    if (p.idempotency !== null) this.#used.set(`${p.function} ${p.idempotency.key}`, job.job);
    this.jobs.push(job);
    this.#log(job, { event: "job.queued", data: { position } });
    const parent = p.parent === null ? undefined : this.get(p.parent);
    if (parent !== undefined && (parent.status === "cancelled" || parent.cancelRequestedAt !== null)) {
      this.#end(job, "cancelled");
      this.#settle([job]);
      return { job, existing: false, position: 0, started: false };
    }
    const { concurrency } = this.limits[p.function] as Limits;
    const room = concurrency === null || this.of(p.function, "running").length < concurrency;
    const next = position === 1 && isReady(job) && !this.paused.has(job.function) && !this.#isExpired(job);
    const started = places.left > 0 && room && next;
    if (started) {
      places.left--;
      this.#start(job, places.owner);
    }
    return { job, existing: false, position, started };
  }

  /** Time goes on, and what was delayed until now is not any more. */
  tick(ms: number): void {
    this.now += ms;
    this.release();
  }

  release(): void {
    const due = this.jobs.filter((job) => job.hold === "delay" && (job.runAfter as number) <= this.now);
    for (const job of due.sort((a, b) => b.priority - a.priority || a.job - b.job)) job.hold = this.#enter(job);
  }

  claim(p: { deployment: number; names: string[]; limit: number; owner: string }): {
    jobs: ReferenceJob[];
    retryAt: number | null;
  } {
    const jobs: ReferenceJob[] = [];
    const retries: number[] = [];
    const candidates = this.jobs.filter(
      (job) =>
        p.names.includes(job.function) &&
        job.deployment === p.deployment &&
        isReady(job) &&
        !this.paused.has(job.function) &&
        !this.#isExpired(job),
    );
    for (const job of candidates.sort(inOrder)) {
      if (jobs.length >= p.limit) break;
      const { concurrency, rate } = this.limits[job.function] as Limits;
      if (concurrency !== null && this.of(job.function, "running").length >= concurrency) continue;
      const within =
        rate === null ? [] : this.#starts.filter((s) => s.fn === job.function && s.at > this.now - rate.perMs);
      if (rate !== null && within.length >= rate.limit) {
        retries.push((within.at(-rate.limit) as { at: number }).at + rate.perMs);
        continue;
      }
      if (rate !== null) this.#starts.push({ fn: job.function, at: this.now });
      this.#start(job, p.owner);
      jobs.push(job);
    }
    return { jobs, retryAt: retries.length === 0 ? null : Math.min(...retries) };
  }

  #start(job: ReferenceJob, owner: string): void {
    Object.assign(job, { status: "running", owner, attempt: job.attempt + 1, runAfter: null });
    this.#log(job, { event: "job.running", data: { attempt: job.attempt, replica_id: REPLICA } });
  }

  finish(job: ReferenceJob, outcome: JobOutcome): void {
    this.#finish(job, outcome);
    if (job.status !== "queued" || job.hold !== null) this.#settle([job]);
  }

  /** Itself first. */
  cancel(root: ReferenceJob): ReferenceJob[] {
    if (root.status !== "queued" && root.status !== "running") return [root];
    const changed = this.#cancelTree(root, new Set());
    this.#settle(changed.filter(({ status }) => status !== "running"));
    return changed;
  }

  cancelMany(wanted: (job: ReferenceJob) => boolean): ReferenceJob[] {
    const done = new Set<ReferenceJob>();
    const changed: ReferenceJob[] = [];
    for (const job of this.jobs.filter((other) => isActive(other) && wanted(other)))
      if (!done.has(job)) changed.push(...this.#cancelTree(job, done));
    changed.sort((a, b) => a.job - b.job);
    this.#settle(changed.filter(({ status }) => status !== "running"));
    return changed;
  }

  expire(limit: number): ReferenceJob[] {
    const expired = this.jobs.filter((job) => job.status === "queued" && this.#isExpired(job));
    expired.sort((a, b) => (a.expiresAt as number) - (b.expiresAt as number) || a.job - b.job);
    const changed = expired.slice(0, limit);
    for (const job of changed) this.#end(job, "expired");
    this.#settle(changed);
    return changed;
  }

  runNow(job: ReferenceJob): void {
    if (job.hold !== "delay") return;
    job.runAfter = null;
    job.hold = this.#enter(job);
  }

  beat(server: string, leaseMs: number): { held: boolean; leader: boolean; servers: number } {
    const held = (this.leases.get(server) ?? 0) > this.now;
    for (const [other, until] of this.leases) {
      if (other === server || until > this.now) continue;
      this.leave(other);
    }
    this.leases.set(server, this.now + leaseMs);
    this.#leader ??= server;
    return { held, leader: this.#leader === server, servers: this.leases.size };
  }

  leave(server: string): void {
    this.leases.delete(server);
    if (this.#leader === server) this.#leader = null;
  }

  rescue(server: string, owners: "expired" | "all", limit: number): ReferenceJob[] {
    const orphans = this.jobs.filter(
      ({ status, owner }) =>
        status === "running" &&
        owner !== server &&
        (owners === "all" || (this.leases.get(owner as string) ?? 0) <= this.now),
    );
    const changed = orphans.slice(0, limit);
    const error = { code: "replica_crashed", message: "The server stopped while this attempt was running." };
    for (const job of changed) this.#finish(job, { type: "lose", error, crashed: false });
    this.#settle(changed.filter(({ status }) => status !== "queued"));
    return changed;
  }

  append(job: ReferenceJob, events: NewJobEvent[]): void {
    for (const event of events) this.#log(job, event);
  }

  claimHooks(limit: number, leaseMs: number): ReferenceJob[] {
    const due = this.jobs.filter(({ hook }) => hook?.state === "due" && hook.at <= this.now);
    due.sort((a, b) => (a.hook?.at as number) - (b.hook?.at as number) || a.job - b.job);
    const taken = due.slice(0, limit);
    for (const { hook } of taken)
      if (hook !== null) Object.assign(hook, { attempt: hook.attempt + 1, at: this.now + leaseMs });
    return taken;
  }

  finishHook(job: ReferenceJob, attempt: number, retryAt: number | null): void {
    if (job.hook?.state !== "due" || job.hook.attempt !== attempt) return;
    Object.assign(job.hook, retryAt === null ? { state: "over" } : { at: retryAt });
  }

  prune(): number {
    const gone = this.jobs.filter(
      (job) => job.endedAt !== null && job.endedAt + job.ttlS * 1000 < this.now && job.hook?.state !== "due",
    );
    for (const job of gone) this.jobs.splice(this.jobs.indexOf(job), 1);
    return gone.length;
  }

  due(fn: string, deployment: number): number {
    if (this.paused.has(fn)) return 0;
    const ready = this.jobs.filter((job) => job.function === fn && job.deployment === deployment && isReady(job));
    return ready.filter((job) => !this.#isExpired(job)).length;
  }

  nextDue(): number | null {
    const times = this.jobs.flatMap((job) => [
      ...(job.hold === "delay" ? [job.runAfter as number] : []),
      ...(job.status === "queued" && job.attempt === 0 && job.expiresAt !== null ? [job.expiresAt] : []),
    ]);
    const later = times.filter((at) => at > this.now);
    return later.length === 0 ? null : Math.min(...later);
  }

  position(job: ReferenceJob): number | null {
    return job.status === "queued" ? this.#before(job).length + 1 : null;
  }

  /** Those that are ready and would start sooner; a job that waits for its key would stand behind all of its priority. */
  #before(job: ReferenceJob): ReferenceJob[] {
    const ready = this.jobs.filter((other) => other.function === job.function && other !== job && isReady(other));
    if (job.hold === "key") return ready.filter(({ priority }) => priority >= job.priority);
    return ready.filter((other) => inOrder(other, job) < 0);
  }

  #isExpired(job: ReferenceJob): boolean {
    return job.attempt === 0 && job.expiresAt !== null && job.expiresAt <= this.now;
  }

  #parked(job: ReferenceJob): ReferenceJob[] {
    return this.jobs
      .filter((other) => sameKey(other, job) && other.hold === "key")
      .sort((a, b) => b.priority - a.priority || a.job - b.job);
  }

  #hasRoom(job: ReferenceJob): boolean {
    const active = this.jobs.filter((other) => sameKey(other, job) && (isReady(other) || other.status === "running"));
    return active.length < (job.concurrencyKey?.limit ?? 1);
  }

  /** The hold of a job that waits for its time no longer. */
  #enter(job: ReferenceJob): "key" | null {
    if (job.concurrencyKey === null) return null;
    const [head] = this.#parked(job);
    const first =
      head === undefined || job.priority > head.priority || (job.priority === head.priority && job.job < head.job);
    return first && this.#hasRoom(job) ? null : "key";
  }

  /** These have left their keys, in this order. */
  #settle(left: ReferenceJob[]): void {
    for (const job of left) {
      if (job.concurrencyKey === null) continue;
      for (;;) {
        const [head] = this.#parked(job);
        if (head === undefined || !this.#hasRoom(head)) break;
        const there = this.jobs.filter(
          (other) =>
            other.function === head.function &&
            other.deployment === head.deployment &&
            other.priority === head.priority &&
            isReady(other) &&
            other.place[0] === this.#newest,
        );
        head.place = [this.#newest, Math.max(0, ...there.map(({ place }) => place[1])) + 1];
        head.hold = null;
      }
    }
  }

  #finish(job: ReferenceJob, outcome: JobOutcome): void {
    const again = outcome.type === "retry" || outcome.type === "lose";
    if (!again || job.cancelRequestedAt !== null) {
      this.#end(job, again ? "cancelled" : ENDS[outcome.type as keyof typeof ENDS]);
      return;
    }
    const delayMs = outcome.type === "retry" ? Math.max(0, outcome.runAfter - this.now) : 0;
    const { attempt } = job;
    const hold = delayMs > 0 ? "delay" : null;
    const position = this.#before({ ...job, status: "queued", hold }).length + 1;
    this.#log(job, { event: "job.retrying", data: { attempt, delay_s: delayMs / 1000, error: outcome.error } });
    this.#log(job, { event: "job.queued", data: { position } });
    Object.assign(job, { status: "queued", owner: null, hold, runAfter: hold === null ? null : this.now + delayMs });
    if (outcome.type === "lose") {
      job.lost++;
      if (outcome.crashed) job.crashed++;
    }
  }

  #end(job: ReferenceJob, status: JobStatus): void {
    Object.assign(job, { status, owner: null, hold: null, runAfter: null, endedAt: this.now });
    const terminal = job.events.length + 1;
    if (status === "succeeded") job.events.push({ event: "job.result", data: { value: null } });
    job.events.push({ event: "job.end", data: { status } });
    job.first = Math.max(job.first, Math.min(job.events.length - job.eventsWindow + 1, terminal));
    if (job.hook !== null) Object.assign(job.hook, { state: "due", at: this.now });
  }

  #cancelTree(root: ReferenceJob, done: Set<ReferenceJob>): ReferenceJob[] {
    const below = (job: ReferenceJob): ReferenceJob[] =>
      this.jobs.filter((other) => other.parent === job.job).flatMap((child) => [child, ...below(child)]);
    const descendants = below(root).filter(isActive);
    const changed = [root, ...descendants.sort((a, b) => a.job - b.job)].filter((job) => !done.has(job));
    for (const job of changed) {
      done.add(job);
      if (job.status === "queued") this.#end(job, "cancelled");
      else job.cancelRequestedAt ??= this.now;
    }
    return changed;
  }

  #log(job: ReferenceJob, event: NewJobEvent): void {
    job.events.push(event);
    const last = job.events.length;
    job.first = Math.max(job.first, last - job.eventsWindow + 1);
    const bytes = () =>
      job.events.slice(job.first - 1).reduce((sum, { data }) => sum + Buffer.byteLength(JSON.stringify(data)), 0);
    while (job.first < last && bytes() > job.eventsWindowBytes) job.first++;
  }
}

function isReady(job: ReferenceJob): boolean {
  return job.status === "queued" && job.hold === null;
}

function isActive({ status }: ReferenceJob): boolean {
  return status === "queued" || status === "running";
}

function sameKey(a: ReferenceJob, b: ReferenceJob): boolean {
  return a.concurrencyKey !== null && a.function === b.function && a.concurrencyKey.key === b.concurrencyKey?.key;
}

function inOrder(a: ReferenceJob, b: ReferenceJob): number {
  return b.priority - a.priority || a.place[0] - b.place[0] || a.place[1] - b.place[1] || a.job - b.job;
}
