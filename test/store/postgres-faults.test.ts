import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AthanorError } from "../../src/protocol/errors.ts";
import type { NewJobEvent } from "../../src/protocol/event.ts";
import { openPostgresStore } from "../../src/server/store/postgres.ts";
import type { ClaimFunction, Store, StoreSignal } from "../../src/server/store/store.ts";
import { postgresMissing, TestPostgres } from "../harness/postgres.ts";
import { lines } from "./conformance/events.ts";
import {
  assertSound,
  claim,
  claimOne,
  eventsOf,
  finish,
  givenDeployment,
  insertJobs,
  insertOne,
  newJob,
  outcome,
  rejectsWith,
  T0,
  unlimited,
} from "./conformance/given.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { PostgresForFile } from "./temp-postgres.ts";

const QUEUE_SIZE = 1_000_000;

/** Jobs that were acknowledged, until it is stopped. Nothing may be rejected meanwhile. */
class Work {
  readonly inserted: number[] = [];
  readonly finished: number[] = [];
  readonly #stores: Store[];
  readonly #deployment: number;
  readonly #running: Promise<unknown>;
  #stopped = false;
  #progress = Promise.withResolvers<void>();

  constructor(stores: Store[], deployment: number) {
    this.#stores = stores;
    this.#deployment = deployment;
    this.#running = Promise.all(
      stores.flatMap((store) => [this.#insert(store), this.#insert(store), this.#finish(store), this.#finish(store)]),
    );
  }

  /** Waits until so many more jobs have ended. */
  async more(count: number): Promise<void> {
    const wanted = this.finished.length + count;
    while (this.finished.length < wanted) await Promise.race([this.#progress.promise, this.#running]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #insert(store: Store): Promise<void> {
    while (!this.#stopped) {
      const numbers = await insertJobs(store, this.#deployment, 3, { queueSize: QUEUE_SIZE });
      this.inserted.push(...numbers);
    }
  }

  async #finish(store: Store): Promise<void> {
    const owner = `server-${this.#stores.indexOf(store)}`;
    while (!this.#stopped) {
      for (const job of await claim(store, this.#deployment, { limit: 5, owner })) {
        await store.eventAppend({ batches: [{ job: job.job, fence: job.fence, events: lines(2) }], now: T0 });
        await finish(store, job, "succeed");
        this.finished.push(job.job);
        this.#progress.resolve();
        this.#progress = Promise.withResolvers();
      }
    }
  }
}

/** That all that was acknowledged is there, and nothing twice. */
async function assertKept(store: Store, work: Work): Promise<void> {
  assert.equal(new Set(work.inserted).size, work.inserted.length);
  assert.equal(new Set(work.finished).size, work.finished.length);
  const found = new Map<number, string>();
  for (let before: number | undefined; ; ) {
    const page = await store.jobList({ limit: 500, ...(before === undefined ? {} : { before }) });
    for (const { job, status } of page) found.set(job, status);
    before = page.at(-1)?.job;
    if (before === undefined) break;
  }
  assert.deepEqual(
    [...found.keys()].sort((a, b) => a - b),
    work.inserted.toSorted((a, b) => a - b),
    "as many jobs as were acknowledged",
  );
  for (const job of work.finished) assert.equal(found.get(job), "succeeded");
  await assertSound(store);
}

describe("the database goes away", { skip: postgresMissing() }, () => {
  it("by a restart: verbs wait, nothing fails, is lost or doubled", async () => {
    await using postgres = await TestPostgres.start();
    const url = postgres.url();
    await using store = await openPostgresStore({ url });
    await using other = await openPostgresStore({ url });
    const work = new Work([store, other], await givenDeployment(store));
    for (let round = 0; round < 2; round++) {
      await work.more(50);
      await postgres.stop();
      await postgres.start();
    }
    await work.more(50);
    await work.stop();
    await assertKept(store, work);
  });

  it("by kill -9: likewise", async () => {
    await using postgres = await TestPostgres.start({ durable: true });
    const url = postgres.url();
    await using store = await openPostgresStore({ url });
    await using other = await openPostgresStore({ url });
    const work = new Work([store, other], await givenDeployment(store));
    for (let round = 0; round < 2; round++) {
      await work.more(50);
      await postgres.kill();
      await postgres.start();
    }
    await work.more(50);
    await work.stop();
    await assertKept(store, work);
  });

  it("for longer than it waits: store_unreachable, and all is well when it is back", async () => {
    await using postgres = await TestPostgres.start();
    const told: string[] = [];
    const log = {
      warn: (fields: object, message: string) => told.push(`${message} ${JSON.stringify(fields)}`),
      info: (fields: object, message: string) => told.push(`${message} ${JSON.stringify(fields)}`),
    };
    const url = postgres.url({ password: "s3cret/word" });
    await using store = await openPostgresStore({ url, patienceMs: 1000, log });
    const deployment = await givenDeployment(store);
    await postgres.stop();
    const refused = await insertOne(store, newJob(deployment)).catch((error) => error);
    assert(refused instanceof AthanorError);
    assert.deepEqual(
      [refused.code, refused.status, refused.headers],
      ["store_unreachable", 503, { "retry-after": "5" }],
    );
    await rejectsWith(store.jobGet({ job: 1 }), "store_unreachable");
    await rejectsWith(openPostgresStore({ url, patienceMs: 100 }), "store_unreachable");
    await postgres.start();
    assert.equal((await insertOne(store, newJob(deployment))).existing, false);
    const all = `${refused.detail} ${refused.stack} ${JSON.stringify(refused.cause)} ${told.join("\n")}`;
    assert(told.some((line) => line.includes("cannot be reached")) && told.some((line) => line.includes("is back")));
    assert(!all.includes("s3cret"), "the password is nowhere");
  });
});

describe("an answer or a commit is lost", { skip: postgresMissing() }, () => {
  const postgres = new PostgresForFile();

  async function open(proxy: CuttingProxy): Promise<{ store: Store; schema: string } & AsyncDisposable> {
    const url = postgres.server.url().replace(`:${postgres.server.port}/`, `:${proxy.port}/`);
    const schema = postgres.schema();
    const store = await postgres.open({ url, schema, maxConnections: 2 });
    // It is alone, and so it sends no signals, whose commits would be cut as well.
    await store.serverBeat({ server: "only", leaseMs: 1_000_000, now: T0 });
    return { store, schema, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
  }

  /** Runs the verb while one COMMIT, or its answer, is lost; a COMMIT that was kept back comes after the connection was given up. */
  async function cutting<T>(
    p: { proxy: CuttingProxy; schema: string; cut: "answer" | "commit" },
    verb: () => Promise<T>,
  ): Promise<T> {
    const { proxy, schema, cut } = p;
    const before = proxy.cuts;
    proxy.cutNext(cut);
    const result = verb();
    const spoiled = async () =>
      (await postgres.server.run(`SELECT 1 FROM "${schema}".writers WHERE sequence = -1`)).length > before;
    while (!(await spoiled())) await new Promise((resolve) => setTimeout(resolve, 5));
    await proxy.deliver();
    return await result;
  }

  for (const cut of ["answer", "commit"] as const) {
    it(`the ${cut}: what is made is made once`, async () => {
      await using proxy = await CuttingProxy.start(postgres.server.port);
      await using opened = await open(proxy);
      const { store, schema } = opened;
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 1);
      const made = await cutting({ proxy, schema, cut }, () => insertJobs(store, deployment, 2));
      assert.deepEqual((await store.jobList({ limit: 9 })).map(({ job }) => job).sort(), [1, ...made]);
      await assertSound(store);
    });

    it(`the ${cut}: an attempt ends once, and who ended it is told so`, async () => {
      await using proxy = await CuttingProxy.start(postgres.server.port);
      await using opened = await open(proxy);
      const { store, schema } = opened;
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 2);
      for (const type of ["succeed", "lose"] as const) {
        const running = await claimOne(store, deployment);
        const { job, events } = await cutting({ proxy, schema, cut }, () => finish(store, running, type));
        assert.deepEqual([job.status, events.length], [type === "succeed" ? "succeeded" : "queued", 2]);
        assert.deepEqual(await store.jobGet({ job: job.job }), job);
      }
      await assertSound(store);
    });

    it(`the ${cut}: a claimed job is given to who claimed it, and to nobody else`, async () => {
      await using proxy = await CuttingProxy.start(postgres.server.port);
      await using opened = await open(proxy);
      const { store, schema } = opened;
      const deployment = await givenDeployment(store);
      await insertJobs(store, deployment, 3);
      const first = await cutting({ proxy, schema, cut }, () => claim(store, deployment, { limit: 2 }));
      const second = await claim(store, deployment, { limit: 9 });
      const taken = [...first, ...second].map(({ job }) => job);
      assert.deepEqual(taken.sort(), [1, 2, 3]);
      assert.equal((await store.jobList({ limit: 9, status: ["running"] })).length, 3);
      await assertSound(store);
    });
  }

  it("a connection that breaks within a transaction leaves nothing behind", async () => {
    await using proxy = await CuttingProxy.start(postgres.server.port);
    await using opened = await open(proxy);
    const { store } = opened;
    const deployment = await givenDeployment(store);
    const inserts = Array.from({ length: 30 }, () => insertJobs(store, deployment, 1));
    setImmediate(() => proxy.breakAll());
    const numbers = (await Promise.all(inserts)).flat();
    assert.equal(new Set(numbers).size, 30);
    assert.equal((await store.jobList({ limit: 99 })).length, 30);
    await assertSound(store);
  });
});

describe("several servers on one database", { skip: postgresMissing() }, () => {
  const postgres = new PostgresForFile();

  async function openSome(count: number): Promise<AsyncDisposable & { stores: Store[] }> {
    const schema = postgres.schema();
    const stores: Store[] = [];
    for (let i = 0; i < count; i++) stores.push(await postgres.open({ schema }));
    const dispose = async () => {
      for (const store of stores) await store[Symbol.asyncDispose]();
    };
    return { stores, [Symbol.asyncDispose]: dispose };
  }

  it("end a job that another of them has changed since it was started here", async () => {
    await using all = await openSome(2);
    const [here, there] = all.stores as [Store, Store];
    const deployment = await givenDeployment(here);
    const start = { limit: 1, concurrency: null, replica: "replicas:1", owner: "here" };
    for (const change of ["an event", "a cancel", "nothing"]) {
      const [inserted] = await here.jobInsertMany({ jobs: [newJob(deployment)], start, now: T0 });
      const job = inserted?.started;
      assert(job);
      const events: NewJobEvent[] = [{ event: "job.progress", data: { progress: 0.5, message: "half" } }];
      if (change === "an event")
        await there.eventAppend({ batches: [{ job: job.job, fence: job.fence, events }], now: T0 });
      if (change === "a cancel") await there.jobCancel({ job: job.job, now: T0 + 1 });
      const ended = await finish(here, job, "succeed");
      assert.deepEqual(await there.jobGet({ job: job.job }), ended.job);
      assert.equal(ended.job.cancelRequestedAt, change === "a cancel" ? T0 + 1 : null);
      const logged = await eventsOf(there, job.job);
      assert.deepEqual(logged.slice(-2), ended.events);
      assert.equal(logged.length, change === "an event" ? 5 : 4);
      assert.equal(await here.jobFinish({ job: job.job, fence: job.fence, outcome: outcome("fail"), now: T0 }), null);
    }
    await assertSound(here);
  });

  it("never exceed a function's concurrency or a key's limit together, and leave nothing waiting", async () => {
    await using all = await openSome(3);
    const [first] = all.stores as [Store];
    const deployment = await givenDeployment(first);
    const functions: ClaimFunction[] = [{ name: "infer", concurrency: 4, rate: null }];
    const jobs = Array.from({ length: 120 }, (_, i) =>
      newJob(deployment, i % 3 === 0 ? {} : { concurrencyKey: { key: `k${i % 4}`, limit: 1 + (i % 2) } }),
    );
    await first.jobInsertMany({ jobs, now: T0 });
    const done: number[] = [];
    const serve = async (store: Store, server: number) => {
      while (done.length < jobs.length) {
        const p = { deployment, functions, limit: 3, replica: "replicas:1", owner: `server-${server}`, now: T0 };
        const { jobs: taken } = await store.jobClaim(p);
        const running = await store.jobList({ status: ["running"], limit: 99 });
        assert(running.length <= 4, `${running.length} run`);
        for (const { concurrencyKey: held } of running) {
          const same = running.filter(({ concurrencyKey }) => concurrencyKey?.key === held?.key);
          assert(held === null || same.length <= Math.max(...same.map((one) => one.concurrencyKey?.limit ?? 0)));
        }
        for (const job of taken) {
          await finish(store, job, "succeed");
          done.push(job.job);
        }
      }
    };
    await Promise.all(all.stores.flatMap((store, i) => [serve(store, i), serve(store, i)]));
    assert.equal(new Set(done).size, jobs.length);
    await assertSound(first);
  });

  it("hear of each other's steps, not of their own, and again after the connection was cut", async () => {
    await using all = await openSome(2);
    const [store, other] = all.stores as [Store, Store];
    const here = listen(store);
    const there = listen(other);
    await Promise.all([here.heard("missed"), there.heard("missed")]);
    const deployment = await givenDeployment(store);
    await there.heard("deployments");
    const { job } = await insertOne(store, newJob(deployment));
    assert.deepEqual(await there.heard("job"), {
      ...{ type: "job", job: job.job, app: "demo", function: "infer", status: "queued" },
    });
    assert.deepEqual(await there.heard("due"), { type: "due", deployment, function: "infer" });
    const running = await claimOne(other, deployment);
    await here.heard("job");
    await store.jobCancel({ job: job.job, now: T0 });
    assert.deepEqual(await there.heard("cancel"), { type: "cancel", job: job.job });
    assert(!here.signals.some(({ type }) => type === "cancel" || type === "deployments"));

    there.signals.length = 0;
    await postgres.server.run(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND query LIKE 'LISTEN%' OR query = 'SELECT 1' AND application_name = 'athanor'`);
    await there.heard("missed");
    there.signals.length = 0;
    await finish(store, running, "cancel");
    await there.heard("job");
  });

  it("agree on the time, whatever their machines say", async (t) => {
    await using all = await openSome(2);
    const [store, other] = all.stores as [Store, Store];
    t.mock.method(Date, "now", () => 0);
    const times = [store.clock(), other.clock(), store.clock(), other.clock()];
    const [row] = await postgres.server.run("SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now");
    for (const time of times) assert(Math.abs(time - Number(row?.now)) < 1000, `${time}`);
    assert.deepEqual(
      [times[0], times[2]],
      [times[0], times[2]].toSorted((a = 0, b = 0) => a - b),
    );
  });
});

function listen(store: Store) {
  const signals: StoreSignal[] = [];
  let heard = Promise.withResolvers<void>();
  store.subscribe((signal) => {
    signals.push(signal);
    heard.resolve();
    heard = Promise.withResolvers();
  });
  return {
    signals,
    async heard(type: StoreSignal["type"]): Promise<StoreSignal | undefined> {
      while (!signals.some((signal) => signal.type === type)) await heard.promise;
      return signals.find((signal) => signal.type === type);
    },
  };
}

describe("a role that may do little", { skip: postgresMissing() }, () => {
  const postgres = new PostgresForFile();

  it("works in its own schema, given to it or made by it", async () => {
    await postgres.server.run(`CREATE ROLE plain LOGIN; CREATE SCHEMA given AUTHORIZATION plain`);
    await using store = await openPostgresStore({
      url: postgres.server.url({ role: "plain", query: "?schema=given" }),
    });
    const deployment = await givenDeployment(store);
    await insertJobs(store, deployment, 2);
    await finish(store, await claimOne(store, deployment), "succeed");
    await store.serverBeat({ server: "s", leaseMs: 1000, now: T0 });
    assert.equal((await store.jobClaim({ ...claims(deployment), limit: 9 })).jobs.length, 1);
    await assertSound(store);
    await postgres.server.run("GRANT CREATE ON DATABASE postgres TO plain");
    await using made = await openPostgresStore({ url: postgres.server.url({ role: "plain" }), schema: "made" });
    assert.deepEqual(await made.jobList({ limit: 1 }), [], "a store of its own");
  });

  it("is told what it lacks", async () => {
    await postgres.server.run("CREATE ROLE nothing LOGIN");
    const refused = await openPostgresStore({ url: postgres.server.url({ role: "nothing" }) }).catch((error) => error);
    assert(refused instanceof AthanorError && refused.code === "config_invalid", String(refused));
    assert.match(refused.hint, /CREATE SCHEMA athanor AUTHORIZATION/);
  });

  it("is refused where it does not exist, or the database does not, without waiting", async () => {
    await assert.rejects(
      openPostgresStore({ url: postgres.server.url({ role: "nobody" }) }),
      /role "nobody" does not exist/,
    );
    await assert.rejects(
      openPostgresStore({ url: postgres.server.url({ database: "none" }) }),
      /database "none" does not exist/,
    );
    await rejectsWith(openPostgresStore({ url: "mysql://x:s3cret@y/z" }), "config_invalid");
    await rejectsWith(openPostgresStore({ url: postgres.server.url(), schema: 'a"b' }), "config_invalid");
  });
});

function claims(deployment: number) {
  return { deployment, functions: unlimited("infer"), replica: "replicas:1", owner: "s", now: T0 };
}
