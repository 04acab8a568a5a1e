import { POSTGRES_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { JobEvent } from "../../protocol/event.ts";
import { Batcher, type Settled } from "./postgres/batch.ts";
import { claimBatch } from "./postgres/claim.ts";
import { DatabaseClock } from "./postgres/clock.ts";
import { Database } from "./postgres/database.ts";
import * as deployments from "./postgres/deployments.ts";
import { appendBatch } from "./postgres/events.ts";
import { faultOf, toAthanorError } from "./postgres/faults.ts";
import { type FinishCall, finishBatch, type Success, succeedBatch, successOf } from "./postgres/finish.ts";
import { type InsertCall, insertBatch } from "./postgres/insert.ts";
import { lockSpace } from "./postgres/locks.ts";
import { migrate } from "./postgres/migrate.ts";
import { QueueNames } from "./postgres/names.ts";
import { Pool, type PoolLog } from "./postgres/pool.ts";
import * as queues from "./postgres/queues.ts";
import * as reads from "./postgres/reads.ts";
import { RunningRows } from "./postgres/running-rows.ts";
import * as schedules from "./postgres/schedules.ts";
import * as servers from "./postgres/servers.ts";
import { Signals } from "./postgres/signals.ts";
import { loadStatements } from "./postgres/statements.ts";
import { parseTarget } from "./postgres/target.ts";
import type { Told } from "./postgres/told.ts";
import * as transitions from "./postgres/transitions.ts";
import * as upkeep from "./postgres/upkeep.ts";
import * as webhooks from "./postgres/webhooks.ts";
import { readMigrations, sqlDir } from "./statements.ts";
import type { ClaimedJobs, EventBatch, InsertedJob, JobChange, JobClaim, Store, StoreSignal } from "./store.ts";

export interface PostgresParams {
  /** `postgres://role:password@host:port/database`; `?schema=NAME` where `schema` is not given. */
  url: string;
  schema?: string;
  maxConnections?: number;
  /** How long a verb waits for a database that is away. */
  patienceMs?: number;
  log?: PoolLog;
}

const SILENT: PoolLog = { warn: () => {}, info: () => {} };

/**
 * Opens the store in a database, its schema made and migrated. Waits for a database that is just starting. Throws `store_unreachable`,
 * `schema_newer`, and `config_invalid` where the role may not do what it must.
 */
export async function openPostgresStore(p: PostgresParams): Promise<Store> {
  const target = parseTarget(p.url, p.schema);
  const { log = SILENT, patienceMs = POSTGRES_DEFAULTS.patienceMs } = p;
  const max = p.maxConnections ?? POSTGRES_DEFAULTS.maxConnections;
  const pool = new Pool({ target, max, patienceMs, statements: loadStatements(), log });
  try {
    await pool.once((link) => migrate(link, target, readMigrations(sqlDir("postgres")), lockSpace(target.schema)));
    const db = new Database({ pool, patienceMs, lockSpace: lockSpace(target.schema) });
    const clock = new DatabaseClock(db);
    await clock.start();
    return new PostgresStore({ db, clock, signals: new Signals({ db, schema: target.schema, log }) });
  } catch (error) {
    pool.close();
    throw toAthanorError(error, target.label);
  }
}

type Verb<Name extends keyof Store> = Store[Name] extends (p: infer P) => Promise<infer R>
  ? (p: P) => Promise<R>
  : never;

interface Batched<R> {
  settled: Settled<R>[];
  signals: StoreSignal[];
}

/** Jobs in one transaction, so that a large call holds up few small ones. */
const MAX_BATCH_JOBS = 1000;

/** The store in a PostgreSQL database, shared by any number of servers. Verbs that come together are committed together. */
class PostgresStore implements Store {
  readonly shared = true;
  readonly #db: Database;
  readonly #clock: DatabaseClock;
  readonly #signals: Signals;
  readonly #names: QueueNames;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #inserts: Batcher<InsertCall, InsertedJob[]>;
  readonly #claims: Batcher<JobClaim, ClaimedJobs>;
  readonly #finishes: Batcher<FinishCall, JobChange | null>;
  readonly #successes: Batcher<Success, JobChange | null>;
  readonly #runningRows = new RunningRows();
  readonly #appends: Batcher<EventBatch[], JobEvent[][]>;
  #closed = false;

  constructor(p: { db: Database; clock: DatabaseClock; signals: Signals }) {
    const { db } = p;
    this.#db = db;
    this.#clock = p.clock;
    this.#signals = p.signals;
    const names = new QueueNames(db);
    this.#names = names;
    this.#inserts = this.#batcher((calls) => insertBatch(db, names, this.#runningRows, calls), {
      lanes: 2,
      maxSize: MAX_BATCH_JOBS,
      sizeOf: ({ jobs }) => jobs.length,
    });
    this.#claims = this.#batcher((calls) => claimBatch(db, names, this.#runningRows, calls));
    this.#finishes = this.#batcher((calls) => finishBatch(db, names, calls));
    this.#successes = this.#batcher((calls) => succeedBatch(db, names, calls));
    this.#appends = this.#batcher((calls) => appendBatch(db, calls));
  }

  clock = () => this.#clock.now();
  subscribe = (listener: (signal: StoreSignal) => void) => this.#signals.subscribe(listener);

  serverBeat: Verb<"serverBeat"> = async (p) => {
    const { isNew, ...beat } = await this.#do(() => servers.serverBeat(this.#db, p));
    this.#signals.serversAre(beat.servers, { isNew });
    return beat;
  };
  serverLeave: Verb<"serverLeave"> = (p) => this.#do(() => servers.serverLeave(this.#db, p));
  metaClaim: Verb<"metaClaim"> = (p) => this.#do(() => servers.metaClaim(this.#db, p));
  numberTake: Verb<"numberTake"> = (p) => this.#do(() => servers.numberTake(this.#db, p));

  deploymentInsert: Verb<"deploymentInsert"> = (p) => this.#do(() => deployments.deploymentInsert(this.#db, p));
  deploymentActivate: Verb<"deploymentActivate"> = async (p) =>
    this.#tell(await this.#do(() => deployments.deploymentActivate(this.#db, p)), [
      { type: "deployments" },
      { type: "schedules" },
    ]);
  deploymentFail: Verb<"deploymentFail"> = (p) => this.#do(() => deployments.deploymentFail(this.#db, p));
  deploymentGet: Verb<"deploymentGet"> = (p) => this.#do(() => deployments.deploymentGet(this.#db, p));
  deploymentList: Verb<"deploymentList"> = (p) => this.#do(() => deployments.deploymentList(this.#db, p));
  deploymentListLive = (p?: { apps: string[] }) => this.#do(() => deployments.deploymentListLive(this.#db, p));
  deploymentListNeeded = () => this.#do(() => deployments.deploymentListNeeded(this.#db));
  deploymentPrune: Verb<"deploymentPrune"> = (p) => this.#do(() => deployments.deploymentPrune(this.#db, p));
  appDelete: Verb<"appDelete"> = async (p) =>
    this.#tell(await this.#do(() => deployments.appDelete(this.#db, p)), [
      { type: "deployments" },
      { type: "schedules" },
    ]);

  jobInsertMany: Verb<"jobInsertMany"> = (p) => this.#do(() => (p.jobs.length === 0 ? none() : this.#inserts.call(p)));
  jobClaim: Verb<"jobClaim"> = (p) => this.#do(() => this.#claims.call(p));
  jobFinish: Verb<"jobFinish"> = (p) => this.#do(() => this.#finish(p));
  jobCancel: Verb<"jobCancel"> = (p) => this.#told(() => transitions.jobCancel(this.#db, this.#names, p));
  jobCancelMany: Verb<"jobCancelMany"> = (p) => this.#told(() => transitions.jobCancelMany(this.#db, this.#names, p));
  jobExpire: Verb<"jobExpire"> = (p) => this.#told(() => transitions.jobExpire(this.#db, this.#names, p));
  jobRunNow: Verb<"jobRunNow"> = (p) => this.#told(() => transitions.jobRunNow(this.#db, this.#names, p));
  jobRescue: Verb<"jobRescue"> = (p) => this.#told(() => transitions.jobRescue(this.#db, this.#names, p));
  jobGet: Verb<"jobGet"> = (p) => this.#do(() => reads.jobGet(this.#db, this.#names, p));
  jobList: Verb<"jobList"> = (p) => this.#do(() => reads.jobList(this.#db, this.#names, p));
  jobPosition: Verb<"jobPosition"> = (p) => this.#do(() => reads.jobPosition(this.#db, p));
  jobCounts: Verb<"jobCounts"> = (p) => this.#told(() => reads.jobCounts(this.#db, this.#names, p));
  jobNextDue: Verb<"jobNextDue"> = (p) => this.#do(() => reads.jobNextDue(this.#db, p));
  jobPrune: Verb<"jobPrune"> = (p) => this.#do(() => upkeep.jobPrune(this.#db, p));

  queueList: Verb<"queueList"> = (p) => this.#do(() => reads.queueList(this.#db, p));
  queuePause: Verb<"queuePause"> = (p) => this.#told(() => queues.queuePause(this.#db, p));
  keyList: Verb<"keyList"> = (p) => this.#do(() => reads.keyList(this.#db, p));

  scheduleList: Verb<"scheduleList"> = (p) => this.#do(() => schedules.scheduleList(this.#db, p));
  schedulePause: Verb<"schedulePause"> = async (p) =>
    this.#tell(await this.#do(() => schedules.schedulePause(this.#db, p)), [{ type: "schedules" }]);
  scheduleDue: Verb<"scheduleDue"> = (p) => this.#do(() => schedules.scheduleDue(this.#db, p));
  scheduleNext = () => this.#do(() => schedules.scheduleNext(this.#db));
  scheduleFire: Verb<"scheduleFire"> = (p) => this.#told(() => schedules.scheduleFire(this.#db, this.#names, p));

  webhookClaim: Verb<"webhookClaim"> = (p) => this.#do(() => webhooks.webhookClaim(this.#db, this.#names, p));
  webhookFinish: Verb<"webhookFinish"> = async (p) =>
    this.#tell(
      await this.#do(() => webhooks.webhookFinish(this.#db, p)),
      p.retryAt === null ? [] : [{ type: "webhooks" }],
    );
  webhookGet: Verb<"webhookGet"> = (p) => this.#do(() => webhooks.webhookGet(this.#db, p));
  webhookAgain: Verb<"webhookAgain"> = async (p) =>
    this.#tell(await this.#do(() => webhooks.webhookAgain(this.#db, p)), [{ type: "webhooks" }]);
  webhookNext: Verb<"webhookNext"> = (p) => this.#do(() => webhooks.webhookNext(this.#db, p));

  eventAppend: Verb<"eventAppend"> = (p) => {
    for (const { job } of p.batches) this.#runningRows.take(job);
    return this.#do(() => (p.batches.length === 0 ? none() : this.#appends.call(p.batches)));
  };
  eventRange: Verb<"eventRange"> = (p) => this.#do(() => reads.eventRange(this.#db, p));
  blobUnreferenced: Verb<"blobUnreferenced"> = (p) => this.#do(() => upkeep.blobUnreferenced(this.#db, p));
  blobsNeeded: Verb<"blobsNeeded"> = (p) => this.#do(() => upkeep.blobsNeeded(this.#db, p));
  about = () => this.#do(() => upkeep.about(this.#db));
  check = () => this.#do(() => upkeep.check(this.#db));

  backup: Verb<"backup"> = async () => {
    throw new AthanorError("backup_unsupported", `The store ${this.#db.pool.target.label} is not a file to copy.`);
  };

  /** Waits for what is under way; later verbs are refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
    this.#clock.stop();
    await this.#signals.stop();
    this.#db.pool.close();
  }

  async #finish(p: FinishCall): Promise<JobChange | null> {
    const row = this.#runningRows.take(p.job);
    const success = row === undefined ? null : await successOf(p, row);
    return (success && (await this.#successes.call(success))) ?? (await this.#finishes.call(p));
  }

  #do<T>(start: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new AthanorError("shutting_down", "The store has been closed."));
    const verb = start();
    this.#underWay.add(verb);
    const done = () => this.#underWay.delete(verb);
    verb.then(done, done);
    return verb;
  }

  #tell<T>(value: T, signals: StoreSignal[]): T {
    this.#signals.send(signals);
    return value;
  }

  async #told<T>(start: () => Promise<Told<T>>): Promise<T> {
    const { value, signals } = await this.#do(start);
    return this.#tell(value, signals);
  }

  #batcher<P, R>(
    run: (calls: P[]) => Promise<Batched<R>>,
    p: { lanes?: number; maxSize?: number; sizeOf?: (call: P) => number } = {},
  ): Batcher<P, R> {
    return new Batcher({
      lanes: p.lanes ?? 1,
      maxSize: p.maxSize ?? POSTGRES_DEFAULTS.maxBatchCalls,
      ...(p.sizeOf === undefined ? {} : { sizeOf: p.sizeOf }),
      isShared: (error) => faultOf(error) !== "other" || (error instanceof AthanorError && error.code !== "internal"),
      run: async (calls) => {
        const { settled, signals } = await run(calls);
        this.#signals.send(signals);
        return settled;
      },
    });
  }
}

async function none(): Promise<never[]> {
  return [];
}
