import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JobEvent } from "../../src/protocol/event.ts";
import type { Waiting } from "../../src/protocol/job.ts";
import type { Json } from "../../src/protocol/json.ts";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import { Blobs } from "../../src/server/blobs/blobs.ts";
import { EventLog } from "../../src/server/events/event-log.ts";
import { Jobs, NO_OPTIONS, type SpawnOptions } from "../../src/server/jobs/jobs.ts";
import type { JobAnswer } from "../../src/server/replicas/session.ts";
import { Scheduler } from "../../src/server/scheduler/scheduler.ts";
import { openSqliteStore, type SqliteStore } from "../../src/server/store/sqlite.ts";
import type { JobRecord, Store } from "../../src/server/store/store.ts";
import { FakeStarter } from "./fake-replicas.ts";
import { deploymentOf, functionSpec } from "./specs.ts";

const log = { info() {}, warn() {}, error() {} };
export const result = (value: Json, media: Uint8Array[] = []): JobAnswer => ({ type: "result", value, media });
export const thrown: JobAnswer = { type: "error", error: { code: "handler_error", message: "no" }, retryable: true };

/** A store on disk that outlives the jobs, as it does a server. */
export class Disk implements AsyncDisposable {
  readonly dir: string;
  readonly store: SqliteStore;
  readonly blobs: Blobs;

  private constructor(dir: string, store: SqliteStore) {
    this.dir = dir;
    this.store = store;
    this.blobs = new Blobs({ dir: join(dir, "blobs") });
  }

  static async make(): Promise<Disk> {
    const dir = await mkdtemp(join(tmpdir(), "athanor-jobs-"));
    const disk = new Disk(dir, await openSqliteStore({ path: join(dir, "state.db") }));
    await disk.blobs.start();
    return disk;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true, force: true });
  }
}

export interface SetupOptions {
  fn?: Partial<FunctionSpec>;
  drainMs?: number;
  cancelGraceMs?: number;
  now?: () => number;
  owner?: () => string;
  changed?: (record: JobRecord) => void;
  /** Default: the disk's. */
  store?: Store;
}

type Deployment = ReturnType<typeof deploymentOf>;

/** Stores it as the live one. */
async function deploy(disk: Disk, changes: Partial<FunctionSpec> = {}): Promise<Deployment> {
  const fn = functionSpec("f", changes);
  const { spec } = deploymentOf(1, [fn]);
  const { store } = disk;
  const { deployment } = await store.deploymentInsert({ app: "demo", digest: "d", spec, uploadBlob: null, now: 1 });
  await store.deploymentActivate({ deployment, schedules: [], now: 1 });
  return deploymentOf(deployment, [fn]);
}

/** One server's life, as far as jobs go. */
export class Setup implements AsyncDisposable {
  readonly disk: Disk;
  readonly starter = new FakeStarter();
  readonly events: EventLog;
  readonly scheduler: Scheduler;
  readonly jobs: Jobs;
  readonly fn: FunctionSpec;
  readonly deployment: Deployment;
  readonly #deployments = new Map<number, Deployment>();
  static #replicas = 0;

  private constructor(disk: Disk, deployment: Deployment, options: SetupOptions) {
    this.disk = disk;
    this.deployment = deployment;
    this.fn = deployment.spec.functions[0] as FunctionSpec;
    this.#deployments.set(deployment.number, deployment);
    const store = options.store ?? disk.store;
    this.events = new EventLog({ store, log });
    this.scheduler = new Scheduler({
      starter: this.starter,
      access: () => ({ serverUrl: "", serverToken: "" }),
      nextReplica: () => ++Setup.#replicas,
      policy: { startBackoffFirstMs: 20, startBackoffMaxMs: 40 },
      log,
    });
    const { fn: _fn, ...rest } = options;
    const deployments = { get: async (number: number) => this.#deployments.get(number) as Deployment };
    this.jobs = new Jobs({
      store,
      scheduler: this.scheduler,
      events: this.events,
      blobs: disk.blobs,
      deployments,
      log,
      ...rest,
    });
  }

  static async make(disk: Disk, options: SetupOptions = {}): Promise<Setup> {
    const setup = new Setup(disk, await deploy(disk, options.fn), options);
    setup.scheduler.add(setup.deployment);
    return setup;
  }

  static async started(disk: Disk, options: SetupOptions = {}): Promise<Setup> {
    const setup = await Setup.make(disk, options);
    await setup.jobs.start();
    return setup;
  }

  /** The same code on the same disk, as a server that starts again. */
  restarted(options: SetupOptions = {}): Setup {
    const setup = new Setup(this.disk, this.deployment, options);
    setup.scheduler.add(setup.deployment);
    return setup;
  }

  /** Another version of the function; the one before is retired. */
  async redeploy(fn: Partial<FunctionSpec> = {}): Promise<Deployment> {
    const deployment = await deploy(this.disk, fn);
    this.#deployments.set(deployment.number, deployment);
    for (const { number } of this.#deployments.values())
      if (number !== deployment.number) this.scheduler.retire(number);
    this.scheduler.add(deployment);
    return deployment;
  }

  /** A call with options. */
  async call(options: Partial<SpawnOptions>, body: Json = {}, deployment = this.deployment): Promise<number> {
    const fn = deployment.spec.functions[0] as FunctionSpec;
    const target = { deployment, fn, idempotencyKey: null };
    return (await this.jobs.spawn({ ...target, body, attachments: [], options: { ...NO_OPTIONS, ...options } })).job
      .job;
  }

  async waiting(job: number): Promise<Waiting | null> {
    return (await this.jobs.toJson(await this.record(job))).waiting;
  }

  async spawn(body: Json = {}, key: string | null = null, attachments: Uint8Array[] = []): Promise<number> {
    const { deployment, fn } = this;
    return (await this.jobs.spawn({ deployment, fn, body, attachments, idempotencyKey: key })).job.job;
  }

  end(job: number): Promise<JobRecord> {
    return this.jobs.wait({ job, timeoutMs: 20_000, signal: AbortSignal.timeout(20_000) });
  }

  async record(job: number): Promise<JobRecord> {
    return (await this.disk.store.jobGet({ job })) as JobRecord;
  }

  async log(job: number): Promise<JobEvent[]> {
    const range = await this.disk.store.eventRange({ job, after: 0, limit: 1000 });
    return range?.events ?? [];
  }

  async names(job: number): Promise<string[]> {
    return (await this.log(job)).map(({ event }) => event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.jobs.stop();
    await this.scheduler.stop();
    await this.events.stop();
  }
}
