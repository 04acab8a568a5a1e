import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { JobOutcome, JobRecord, Store } from "../../../src/server/store/store.ts";
import { assertSound, claim, eventsOf, givenDeployment, insertOne, newJob, type Open, outcome, T0 } from "./given.ts";

type Step =
  | { do: "insert"; fn: string }
  | { do: "claim"; fns: string[]; limit: number }
  | { do: "finish"; pick: number; type: JobOutcome["type"]; stale: boolean }
  | { do: "cancel"; pick: number }
  | { do: "log"; pick: number; count: number }
  | { do: "rescue" }
  | { do: "prune" };

const fn = fc.constantFrom("a", "b");
const pick = fc.nat({ max: 30 });
const type = fc.constantFrom<JobOutcome["type"]>("succeed", "fail", "timeOut", "cancel", "retry", "lose");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("insert" as const), fn }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("claim" as const), fns: fc.uniqueArray(fn), limit: fc.nat({ max: 3 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("finish" as const), pick, type, stale: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("log" as const), pick, count: fc.nat({ max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rescue" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("prune" as const) }) },
);

interface ModelJob {
  fn: string;
  status: string;
  fence: number;
  cancel: boolean;
  lastEvent: number;
}

const END: Record<string, string> = { succeed: "succeeded", fail: "failed", timeOut: "timed_out", cancel: "cancelled" };
const QUEUE_SIZE = 5;

/** The store in a few lines: what every verb must do to a job's status, fence and log. */
class Model {
  readonly jobs = new Map<number, ModelJob>();
  #next = 1;

  byStatus(...status: string[]): [number, ModelJob][] {
    return [...this.jobs].filter(([, job]) => status.includes(job.status));
  }
  insert(name: string): number | null {
    if (this.byStatus("queued").filter(([, job]) => job.fn === name).length >= QUEUE_SIZE) return null;
    this.jobs.set(this.#next, { fn: name, status: "queued", fence: 0, cancel: false, lastEvent: 1 });
    return this.#next++;
  }
  claim(names: string[], limit: number): number[] {
    const due = this.byStatus("queued").filter(([, job]) => names.includes(job.fn));
    const taken = due.sort(([a], [b]) => a - b).slice(0, limit);
    for (const [, job] of taken)
      Object.assign(job, { status: "running", fence: job.fence + 1, lastEvent: job.lastEvent + 1 });
    return taken.map(([number]) => number);
  }
  finish(job: ModelJob, by: string): void {
    const end = END[by] ?? (job.cancel ? "cancelled" : null);
    job.lastEvent += end === null || by === "succeed" ? 2 : 1;
    job.status = end ?? "queued";
  }
  cancel(job: ModelJob): void {
    if (job.status === "queued") this.finish(job, "cancel");
    else if (job.status === "running") job.cancel = true;
  }
}

export function modelConformance(open: Open): void {
  it("agrees with a model over random operations, and its counts never drift", async () => {
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      await using store = await open();
      const deployment = await givenDeployment(store);
      const model = new Model();
      for (const next of steps) await apply(store, deployment, model, next);
      await compare(store, model);
    });
    await fc.assert(property, { numRuns: 60 });
  });
}

async function apply(store: Store, deployment: number, model: Model, next: Step): Promise<void> {
  const chosen = "pick" in next ? [...model.jobs][next.pick % Math.max(1, model.jobs.size)] : undefined;
  const now = T0;
  if (next.do === "insert") {
    const made = insertOne(
      store,
      newJob(deployment, { function: next.fn, queueSize: QUEUE_SIZE, eventsWindow: 4, ttlS: 0 }),
    );
    const number = model.insert(next.fn);
    if (number === null) await assert.rejects(made);
    else assert.equal((await made).job.job, number);
  } else if (next.do === "claim") {
    const taken = await claim(store, deployment, { functions: next.fns, limit: next.limit });
    assert.deepEqual(
      taken.map((j: JobRecord) => j.job),
      model.claim(next.fns, next.limit),
    );
  } else if (next.do === "finish" && chosen !== undefined) {
    const [job, known] = chosen;
    const fence = known.fence - (next.stale ? 1 : 0);
    const change = await store.jobFinish({ job, fence, outcome: outcome(next.type), now });
    assert.equal(change !== null, known.status === "running" && !next.stale);
    if (change !== null) model.finish(known, next.type);
  } else if (next.do === "cancel" && chosen !== undefined) {
    await store.jobCancel({ job: chosen[0], now });
    model.cancel(chosen[1]);
  } else if (next.do === "log" && chosen !== undefined) {
    const [job, known] = chosen;
    const event = { event: "job.log", data: { stream: "stdout", line: "x", at: "" } } as const;
    const events = Array.from({ length: next.count }, () => event);
    const [stored] = await store.eventAppend({ batches: [{ job, fence: known.fence, events }], now });
    assert.equal(stored?.length, known.status === "running" ? next.count : 0);
    known.lastEvent += stored?.length ?? 0;
  } else if (next.do === "rescue") {
    await store.jobRescue({ server: "nobody", owners: "all", now, limit: 99 });
    for (const [, job] of model.byStatus("running")) model.finish(job, "lose");
  } else if (next.do === "prune") {
    const ended = model.byStatus(...Object.values(END));
    assert.equal(await store.jobPrune({ now: T0 + 1, limit: 99 }), ended.length);
    for (const [number] of ended) model.jobs.delete(number);
  }
}

async function compare(store: Store, model: Model): Promise<void> {
  const records = await store.jobList({ limit: 999 });
  const seen = records.map((j) => [j.job, j.function, j.status, j.fence, j.cancelRequestedAt !== null, j.lastEvent]);
  const expected = [...model.jobs].map(([job, m]) => [job, m.fn, m.status, m.fence, m.cancel, m.lastEvent]);
  assert.deepEqual(seen.reverse(), expected);
  for (const count of await store.jobCounts({ now: T0 })) {
    const of = (status: string) => model.byStatus(status).filter(([, job]) => job.fn === count.function).length;
    assert.deepEqual([count.queued, count.due, count.running], [of("queued"), of("queued"), of("running")]);
  }
  for (const [job, { lastEvent }] of model.jobs) assert.equal((await eventsOf(store, job)).at(-1)?.id, lastEvent);
  await assertSound(store);
}
