import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { NewJobEvent } from "../../../src/protocol/event.ts";
import { JOB_STATUSES, type JobStatus } from "../../../src/protocol/job.ts";
import type { JobFilter, JobOutcome, NewJob, Store } from "../../../src/server/store/store.ts";
import { assertSound, ERROR, eventsOf, givenDeployment, newJob, type Open, rejectsWith, T0 } from "./given.ts";
import { type Limits, REPLICA, Reference, type ReferenceJob } from "./reference.ts";

/**
 * Random verbs, at times of a clock that the test sets, against the reference. MODEL_RUNS says how many sequences; a failure prints its seed and
 * its path, which MODEL_SEED and MODEL_PATH take to run just that one.
 */
const RUNS = Number(process.env.MODEL_RUNS ?? 60);
const LEASE_MS = 100;
const QUEUE_SIZE = 8;

const LIMITS: Record<string, Limits> = {
  a: { concurrency: null, rate: null },
  b: { concurrency: 2, rate: null },
  c: { concurrency: null, rate: { limit: 2, perMs: 100 } },
};

const SERVERS = ["server-1", "server-2"];
const fn = fc.constantFrom("a", "a", "b", "c");
const pick = fc.nat({ max: 30 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 2 });
const rarely = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
const server = fc.constantFrom(...SERVERS);

const inserted = fc.record({
  fn,
  deployment: fc.nat({ max: 1 }),
  priority: fc.constantFrom(0, 0, 1, -1),
  key: maybe(fc.record({ key: fc.constantFrom("x", "y"), limit: fc.constantFrom(1, 1, 2) })),
  delay: rarely(fc.constantFrom(-5, 10, 60)),
  expiry: rarely(fc.constantFrom(5, 40)),
  parent: rarely(pick),
  hook: rarely(fc.constant(true)),
  idempotency: rarely(fc.constantFrom("k1", "k2")),
  bytes: fc.constantFrom(200, 1 << 24),
});

const STEPS = {
  insert: fc.record({
    jobs: fc.array(inserted, { minLength: 1, maxLength: 3 }),
    start: maybe(fc.record({ limit: fc.integer({ min: 1, max: 3 }), owner: server })),
  }),
  claim: fc.record({
    deployment: fc.nat({ max: 1 }),
    names: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
    limit: fc.integer({ min: 1, max: 4 }),
    owner: server,
  }),
  finish: fc.record({
    pick,
    type: fc.constantFrom<JobOutcome["type"]>(
      "succeed",
      "succeed",
      "fail",
      "timeOut",
      "cancel",
      "retry",
      "retry",
      "lose",
    ),
    delay: fc.constantFrom(0, 30),
    crashed: fc.boolean(),
    stale: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  }),
  cancel: fc.record({ pick }),
  cancelMany: fc.record({
    fn: maybe(fn),
    status: maybe(fc.constantFrom<JobStatus>("queued", "running")),
    key: rarely(fc.constantFrom("x", "y")),
  }),
  expire: fc.record({ limit: fc.integer({ min: 1, max: 3 }) }),
  runNow: fc.record({ pick }),
  log: fc.record({ pick, sizes: fc.array(fc.constantFrom(0, 10, 300, 5000), { maxLength: 6 }) }),
  tick: fc.record({ ms: fc.constantFrom(1, 10, 50, 200) }),
  beat: fc.record({ server }),
  leave: fc.record({ server }),
  rescue: fc.record({
    server,
    owners: fc.constantFrom("expired" as const, "all" as const),
    limit: fc.constantFrom(1, 99),
  }),
  pause: fc.record({ fn, paused: fc.boolean() }),
  hooks: fc.record({ limit: fc.constantFrom(1, 9), retry: maybe(fc.constantFrom(0, 20)) }),
  prune: fc.record({}),
};

type Steps = { [K in keyof typeof STEPS]: (typeof STEPS)[K] extends fc.Arbitrary<infer T> ? T : never };
type Step = { [K in keyof Steps]: { do: K } & Steps[K] }[keyof Steps];

const WEIGHTS: Partial<Record<keyof Steps, number>> = { insert: 6, claim: 6, finish: 6, log: 2, tick: 3, cancel: 2 };

function anyStep(): fc.Arbitrary<Step> {
  const all = Object.entries(STEPS).map(([name, arbitrary]) => ({
    weight: WEIGHTS[name as keyof Steps] ?? 1,
    arbitrary: (arbitrary as fc.Arbitrary<object>).map((params) => ({ do: name, ...params }) as Step),
  }));
  return fc.oneof(...all);
}

export function modelConformance(open: Open): void {
  it("agrees with a reference over random verbs and times", async (t) => {
    const seed = process.env.MODEL_SEED === undefined ? Date.now() % 1e9 : Number(process.env.MODEL_SEED);
    t.diagnostic(`seed ${seed}`);
    const property = fc.asyncProperty(fc.array(anyStep(), { maxLength: 60, size: "max" }), async (steps) => {
      await using store = await open();
      const run = await Run.begin(store);
      for (const step of steps) await run.take(step);
      await run.compare();
    });
    const path = process.env.MODEL_PATH;
    await fc.assert(property, { seed, numRuns: RUNS, ...(path === undefined ? {} : { path, endOnFailure: true }) });
  });
}

class Run {
  readonly #store: Store;
  readonly #model = new Reference(LIMITS, T0);
  readonly #deployments: number[];

  private constructor(store: Store, deployments: number[]) {
    this.#store = store;
    this.#deployments = deployments;
  }

  static async begin(store: Store): Promise<Run> {
    return new Run(store, [await givenDeployment(store), await givenDeployment(store)]);
  }

  async take(step: Step): Promise<void> {
    const { now } = this.#model;
    const store = this.#store;
    const model = this.#model;
    switch (step.do) {
      case "insert":
        return await this.#insert(step);
      case "claim":
        return await this.#claim(step);
      case "finish":
        return await this.#finish(step);
      case "cancel": {
        const job = this.#chosen(step.pick);
        const changes = await store.jobCancel({ job: job?.job ?? 99_999, now });
        assert.deepEqual(
          changes?.map((change) => change.job.job),
          job && numbers(model.cancel(job)),
        );
        return;
      }
      case "cancelMany":
        return await this.#cancelMany(step);
      case "expire": {
        const changes = await store.jobExpire({ now, limit: step.limit });
        assert.deepEqual(
          changes.map((change) => change.job.job),
          numbers(model.expire(step.limit)),
        );
        return;
      }
      case "runNow": {
        const job = this.#chosen(step.pick);
        if (job !== undefined) model.runNow(job);
        assert.equal((await store.jobRunNow({ job: job?.job ?? 99_999, now }))?.job, job?.job);
        return;
      }
      case "log":
        return await this.#log(step);
      case "tick":
        model.tick(step.ms);
        return await this.#counts();
      case "beat": {
        const beat = await store.serverBeat({ server: step.server, leaseMs: LEASE_MS, now });
        assert.deepEqual(beat, model.beat(step.server, LEASE_MS));
        return;
      }
      case "leave":
        model.leave(step.server);
        return await store.serverLeave({ server: step.server, now });
      case "rescue": {
        const { server: by, owners, limit } = step;
        const changes = await store.jobRescue({ server: by, owners, limit, now });
        assert.deepEqual(
          changes.map((change) => change.job.job),
          numbers(model.rescue(by, owners, limit)),
        );
        return;
      }
      case "pause":
        if (step.paused) model.paused.add(step.fn);
        else model.paused.delete(step.fn);
        await store.queuePause({ app: "demo", function: step.fn, paused: step.paused, now });
        return;
      case "hooks":
        return await this.#hooks(step);
      case "prune":
        assert.equal(await store.jobPrune({ now, limit: 999 }), model.prune());
    }
  }

  async #insert({ jobs: wanted, start: places }: Steps["insert"]): Promise<void> {
    const { now } = this.#model;
    const jobs: NewJob[] = wanted.map((p) =>
      newJob(this.#deployments[p.deployment] as number, {
        ...{ function: p.fn, queueSize: QUEUE_SIZE, ttlS: 0.05, eventsWindow: 6, eventsWindowBytes: p.bytes },
        ...{
          priority: p.priority,
          concurrencyKey: p.key,
          parent: p.parent === null ? null : (this.#chosen(p.parent)?.job ?? null),
        },
        runAfter: p.delay === null ? null : now + p.delay,
        expiresAt: p.expiry === null ? null : now + p.expiry,
        webhook: p.hook === null ? null : { url: "http://example.com/", secret: "s" },
        idempotency: p.idempotency === null ? null : { key: p.idempotency, inputHash: "h" },
      }),
    );
    const free = QUEUE_SIZE - this.#model.of(wanted[0]?.fn ?? "", "queued").length;
    // One at a time where they might not all fit or may be known, since the reference cannot take any back.
    const alone = wanted.some((p) => p.idempotency !== null || p.fn !== wanted[0]?.fn) || free < jobs.length;
    for (const batch of alone ? jobs.map((job) => [job]) : [jobs]) {
      const gone = batch.some((job) => this.#model.isSpent(job));
      // A place is given only for a function that has no rate limit.
      const [{ function: name }] = batch as [NewJob];
      const { concurrency, rate } = LIMITS[name] as Limits;
      const at = rate === null && batch.every((job) => job.function === name) ? places : null;
      const left = { left: at?.limit ?? 0, owner: at?.owner ?? "" };
      const start = at === null ? null : { ...at, concurrency, replica: REPLICA };
      const insertion = this.#store.jobInsertMany({ jobs: batch, start, now });
      const made = await insertion.catch(() => []);
      const expected = gone ? [] : batch.map((job, i) => this.#model.insert(job, left, made[i]?.job.job ?? 0));
      if (gone) await rejectsWith(insertion, "job_not_found");
      else if (expected.includes(null)) await rejectsWith(insertion, "queue_full");
      else {
        assert.deepEqual(
          (await insertion).map((i) => [
            ...[i.job.job, i.existing, i.position, (i.started ?? i.job).status, i.job.keyWaits],
            i.started !== null,
          ]),
          expected.map((i) => i && [i.job.job, i.existing, i.position, i.job.status, i.job.hold === "key", i.started]),
        );
      }
    }
  }

  async #claim({ names, limit, owner, ...step }: Steps["claim"]): Promise<void> {
    const deployment = this.#deployments[step.deployment] as number;
    const functions = names.map((name) => ({ name, ...(LIMITS[name] as Limits) }));
    const { now } = this.#model;
    const { jobs, retryAt } = await this.#store.jobClaim({
      deployment,
      functions,
      limit,
      replica: REPLICA,
      owner,
      now,
    });
    const expected = this.#model.claim({ deployment, names, limit, owner });
    assert.deepEqual(
      jobs.map(({ job, attempt, fence }) => [job, attempt, fence]),
      expected.jobs.map(({ job, attempt }) => [job, attempt, attempt]),
    );
    assert.equal(retryAt, expected.retryAt);
  }

  async #finish({ pick: index, type, delay, crashed, stale }: Steps["finish"]): Promise<void> {
    const running = this.#model.jobs.filter(({ status }) => status === "running");
    // Mostly one that runs; else whichever it is.
    const job = (index % 5 === 0 ? undefined : running[index % Math.max(1, running.length)]) ?? this.#chosen(index);
    if (job === undefined) return;
    const { now } = this.#model;
    const fence = job.attempt - (stale ? 1 : 0);
    const outcome = outcomeOf(type, { runAfter: now + delay, crashed });
    const change = await this.#store.jobFinish({ job: job.job, fence, outcome, now });
    const holds = job.status === "running" && !stale;
    assert.equal(change !== null, holds);
    if (holds) this.#model.finish(job, outcome);
    if (change !== null) assert.equal(change.job.status, job.status);
  }

  async #cancelMany({ fn: name, status, key }: Steps["cancelMany"]): Promise<void> {
    const filter: JobFilter = {
      app: "demo",
      ...(name === null ? {} : { function: name }),
      ...(status === null ? {} : { status: [status] }),
      ...(key === null ? {} : { concurrencyKey: key }),
    };
    const { changes, next } = await this.#store.jobCancelMany({ filter, after: 0, limit: 999, now: this.#model.now });
    const expected = this.#model.cancelMany((job) => takes(filter, job));
    assert.deepEqual([changes.map((change) => change.job.job), next], [numbers(expected), null]);
  }

  async #log({ pick: index, sizes }: Steps["log"]): Promise<void> {
    const job = this.#chosen(index);
    if (job === undefined) return;
    const events: NewJobEvent[] = sizes.map((size) => ({
      event: "job.log",
      data: { stream: "stdout", line: "é".repeat(size / 2), at: "" },
    }));
    const batches = [{ job: job.job, fence: job.attempt, events }];
    const [stored] = await this.#store.eventAppend({ batches, now: this.#model.now });
    assert.equal(stored?.length, job.status === "running" ? events.length : 0);
    if (job.status === "running") this.#model.append(job, events);
  }

  async #hooks({ limit, retry }: Steps["hooks"]): Promise<void> {
    const { now } = this.#model;
    const taken = await this.#store.webhookClaim({ now, limit, leaseMs: LEASE_MS, exceptHosts: [] });
    const expected = this.#model.claimHooks(limit, LEASE_MS);
    assert.deepEqual(
      taken.map(({ job, attempt }) => [job.job, attempt]),
      expected.map(({ job, hook }) => [job, hook?.attempt]),
    );
    for (const [i, { job, attempt }] of taken.entries()) {
      const retryAt = retry === null ? null : now + retry;
      // Of every other, the attempt that is over is finished, which changes nothing.
      const which = attempt - (i % 2);
      await this.#store.webhookFinish({
        job: job.job,
        attempt: which,
        retryAt,
        error: retryAt === null ? null : "x",
        now,
      });
      this.#model.finishHook(expected[i] as ReferenceJob, which, retryAt);
    }
  }

  /** Also makes due in the store what is due in the reference, in whichever verb it does so. */
  async #counts(): Promise<void> {
    const { now } = this.#model;
    const [deployment] = this.#deployments as [number];
    await this.#store.jobClaim({ deployment, functions: [], limit: 1, replica: REPLICA, owner: "nobody", now });
    const counts = await this.#store.jobCounts({ now });
    const expected = Object.keys(LIMITS).flatMap((name) =>
      this.#deployments.map((of) => {
        const count = (status: JobStatus) => this.#model.of(name, status).filter((job) => job.deployment === of).length;
        const due = this.#model.due(name, of);
        return { app: "demo", deployment: of, function: name, due, queued: count("queued"), running: count("running") };
      }),
    );
    assert.deepEqual(
      counts,
      expected.filter(({ queued, running }) => queued + running > 0),
    );
  }

  async compare(): Promise<void> {
    const model = this.#model;
    await this.#counts();
    const records = (await this.#store.jobList({ limit: 999 })).reverse();
    assert.deepEqual(
      records.map((j) => [
        ...[
          j.job,
          j.function,
          j.status,
          j.attempt,
          j.fence,
          j.lostCount,
          j.crashCount,
          j.cancelRequestedAt,
          j.keyWaits,
        ],
        ...[j.lastEvent, j.finishedAt],
      ]),
      model.jobs.map((j) => [
        ...[
          j.job,
          j.function,
          j.status,
          j.attempt,
          j.attempt,
          j.lost,
          j.crashed,
          j.cancelRequestedAt,
          j.hold === "key",
        ],
        ...[j.events.length, j.endedAt],
      ]),
    );
    assert.equal(await this.#store.jobNextDue({ now: model.now }), model.nextDue());
    for (const job of model.jobs) {
      assert.equal(await this.#store.jobPosition({ job: job.job }), model.position(job), `position of jobs:${job.job}`);
      const range = await this.#store.eventRange({ job: job.job, after: 0, limit: 999 });
      assert.deepEqual([range?.earliest, range?.latest], [job.first, job.events.length], `log of jobs:${job.job}`);
      assert.deepEqual(
        (await eventsOf(this.#store, job.job)).map(plain),
        job.events.slice(job.first - 1).map((event, i) => plain({ id: job.first + i, ...event })),
      );
    }
    const hooks = model.jobs.flatMap(({ hook }) => (hook?.state === "due" ? [hook.at] : []));
    assert.equal(await this.#store.webhookNext({ exceptHosts: [] }), hooks.length === 0 ? null : Math.min(...hooks));
    await this.#compareQueues();
    await this.#compareLists();
    await assertSound(this.#store);
  }

  async #compareLists(): Promise<void> {
    const parents = this.#model.jobs.flatMap(({ parent }) => parent ?? []);
    const filters: JobFilter[] = [
      ...JOB_STATUSES.map((status) => ({ status: [status] })),
      ...["a", "b"].flatMap((name) => [
        { function: name },
        { app: "demo", function: name, status: ["queued" as const, "failed" as const, "succeeded" as const] },
        { app: "demo", function: name, concurrencyKey: "x" },
        { function: name, concurrencyKey: "y", status: ["running" as const, "queued" as const] },
      ]),
      ...parents.flatMap((parent) => [{ parent }, { parent, function: "a", status: ["cancelled" as const] }]),
    ];
    for (const filter of filters) {
      const before = this.#model.jobs.at(-2)?.job ?? 1;
      const listed = await this.#store.jobList({ ...filter, before, limit: 3 });
      const fits = this.#model.jobs.filter((job) => job.job < before && takes(filter, job)).reverse();
      assert.deepEqual(
        listed.map(({ job }) => job),
        numbers(fits.slice(0, 3)),
        JSON.stringify(filter),
      );
    }
  }

  async #compareQueues(): Promise<void> {
    const names = Object.keys(LIMITS);
    const queues = names.map((name) => {
      const [queued, running] = [this.#model.of(name, "queued").length, this.#model.of(name, "running").length];
      return { app: "demo", function: name, paused: this.#model.paused.has(name), queued, running };
    });
    const shown = queues.filter(({ paused, queued, running }) => paused || queued + running > 0);
    assert.deepEqual(await this.#store.queueList({}), shown);
    for (const name of names) {
      const keys = await this.#store.keyList({ app: "demo", function: name, limit: 9 });
      const expected = ["x", "y"].map((key) => {
        const count = (status: JobStatus) =>
          this.#model.of(name, status).filter((job) => job.concurrencyKey?.key === key).length;
        return { key, queued: count("queued"), running: count("running") };
      });
      assert.deepEqual(
        keys.map(({ key, queued, running }) => ({ key, queued, running })),
        expected.filter(({ queued, running }) => queued + running > 0),
      );
    }
  }

  #chosen(index: number): ReferenceJob | undefined {
    return this.#model.jobs[index % Math.max(1, this.#model.jobs.length)];
  }
}

function outcomeOf(type: JobOutcome["type"], p: { runAfter: number; crashed: boolean }): JobOutcome {
  if (type === "succeed") return { type, result: "null", resultBlobs: [] };
  if (type === "retry") return { type, error: ERROR, runAfter: p.runAfter };
  if (type === "lose") return { type, error: ERROR, crashed: p.crashed };
  return { type, error: ERROR };
}

function takes(filter: JobFilter, job: ReferenceJob): boolean {
  return (
    (filter.function === undefined || filter.function === job.function) &&
    (filter.status === undefined || filter.status.includes(job.status)) &&
    (filter.concurrencyKey === undefined || filter.concurrencyKey === job.concurrencyKey?.key) &&
    (filter.parent === undefined || filter.parent === job.parent)
  );
}

function numbers(jobs: ReferenceJob[]): number[] {
  return jobs.map(({ job }) => job);
}

/** Without what the reference does not say: the words of an error. */
function plain({ id, event, data }: { id: number; event: string; data: object }): unknown {
  return { id, event, data: event === "job.end" ? { status: (data as { status: string }).status } : data };
}
