import { backup } from "./sqlite/backup.ts";
import * as cancel from "./sqlite/cancel.ts";
import { jobClaim } from "./sqlite/claim.ts";
import { Connection } from "./sqlite/connection.ts";
import * as deployments from "./sqlite/deployments.ts";
import * as events from "./sqlite/events.ts";
import { toAthanorError } from "./sqlite/faults.ts";
import { GroupCommit } from "./sqlite/group-commit.ts";
import { jobInsertMany } from "./sqlite/insert.ts";
import * as reads from "./sqlite/job-reads.ts";
import * as keys from "./sqlite/keys.ts";
import * as queues from "./sqlite/queues.ts";
import * as schedules from "./sqlite/schedules.ts";
import * as servers from "./sqlite/servers.ts";
import * as transitions from "./sqlite/transitions.ts";
import * as upkeep from "./sqlite/upkeep.ts";
import * as webhooks from "./sqlite/webhooks.ts";
import type { Store } from "./store.ts";

export interface SqliteParams {
  /** The database file; its folder must exist. */
  path: string;
  /** Pages of 4 KiB that the file may grow to; for tests of a full disk. */
  maxPages?: number;
}

/** Opens the database, migrated to the present schema. Throws `schema_newer`, `storage_full`. */
export async function openSqliteStore(p: SqliteParams): Promise<SqliteStore> {
  try {
    return new SqliteStore(new Connection(p.path, p.maxPages));
  } catch (error) {
    throw toAthanorError(error, p.path);
  }
}

type Verb<Name extends keyof Store> = Store[Name] extends (p: infer P) => Promise<infer R>
  ? (p: P) => Promise<R>
  : never;

/** The store in one SQLite file, on this thread. Verbs that write are committed in groups; reads see what is committed. */
export class SqliteStore implements Store {
  readonly #db: Connection;
  readonly #commits: GroupCommit;

  constructor(db: Connection) {
    this.#db = db;
    this.#commits = new GroupCommit(db);
  }

  readonly shared = false;
  clock = Date.now;
  subscribe = () => () => {};

  serverBeat: Verb<"serverBeat"> = (p) => this.#durably(servers.serverBeat, p);
  serverLeave: Verb<"serverLeave"> = (p) => this.#durably(servers.serverLeave, p);
  metaClaim: Verb<"metaClaim"> = (p) => this.#durably(servers.metaClaim, p);
  numberTake: Verb<"numberTake"> = (p) => this.#durably(servers.numberTake, p);

  deploymentInsert: Verb<"deploymentInsert"> = (p) => this.#durably(deployments.deploymentInsert, p);
  deploymentActivate: Verb<"deploymentActivate"> = (p) => this.#durably(deployments.deploymentActivate, p);
  deploymentFail: Verb<"deploymentFail"> = (p) => this.#durably(deployments.deploymentFail, p);
  deploymentGet: Verb<"deploymentGet"> = (p) => this.#read(deployments.deploymentGet, p);
  deploymentList: Verb<"deploymentList"> = (p) => this.#read(deployments.deploymentList, p);
  deploymentListLive = (p?: { apps: string[] }) => this.#read(deployments.deploymentListLive, p);
  deploymentListNeeded = () => this.#read(deployments.deploymentListNeeded, {});
  deploymentPrune: Verb<"deploymentPrune"> = (p) => this.#durably(deployments.deploymentPrune, p);
  appDelete: Verb<"appDelete"> = (p) => this.#durably(deployments.appDelete, p);

  jobInsertMany: Verb<"jobInsertMany"> = (p) => this.#durably(jobInsertMany, p);
  jobClaim: Verb<"jobClaim"> = (p) => this.#visibly(jobClaim, p);
  jobFinish: Verb<"jobFinish"> = (p) => this.#durably(transitions.jobFinish, p);
  jobCancel: Verb<"jobCancel"> = (p) => this.#durably(cancel.jobCancel, p);
  jobCancelMany: Verb<"jobCancelMany"> = (p) => this.#durably(cancel.jobCancelMany, p);
  jobExpire: Verb<"jobExpire"> = (p) => this.#durably(cancel.jobExpire, p);
  jobRunNow: Verb<"jobRunNow"> = (p) => this.#durably(keys.jobRunNow, p);
  jobRescue: Verb<"jobRescue"> = (p) => this.#durably(transitions.jobRescue, p);
  jobGet: Verb<"jobGet"> = (p) => this.#read(reads.jobGet, p);
  jobList: Verb<"jobList"> = (p) => this.#read(reads.jobList, p);
  jobPosition: Verb<"jobPosition"> = (p) => this.#read(reads.jobPosition, p);
  jobCounts: Verb<"jobCounts"> = async (p) => {
    if (await this.#read((db) => keys.isAnyDue(db, p.now), p))
      await this.#visibly((db) => keys.releaseDue(db, p.now), p);
    return await this.#read(reads.jobCounts, p);
  };
  jobNextDue: Verb<"jobNextDue"> = (p) => this.#read(reads.jobNextDue, p);
  jobPrune: Verb<"jobPrune"> = (p) => this.#visibly(upkeep.jobPrune, p);

  queueList: Verb<"queueList"> = (p) => this.#read(queues.queueList, p);
  queuePause: Verb<"queuePause"> = (p) => this.#durably(queues.queuePause, p);
  keyList: Verb<"keyList"> = (p) => this.#read(queues.keyList, p);

  scheduleList: Verb<"scheduleList"> = (p) => this.#read(schedules.scheduleList, p);
  schedulePause: Verb<"schedulePause"> = (p) => this.#durably(schedules.schedulePause, p);
  scheduleDue: Verb<"scheduleDue"> = (p) => this.#read(schedules.scheduleDue, p);
  scheduleNext = () => this.#read(schedules.scheduleNext, {});
  scheduleFire: Verb<"scheduleFire"> = (p) => this.#durably(schedules.scheduleFire, p);

  webhookClaim: Verb<"webhookClaim"> = (p) => this.#visibly(webhooks.webhookClaim, p);
  webhookFinish: Verb<"webhookFinish"> = (p) => this.#durably(webhooks.webhookFinish, p);
  webhookGet: Verb<"webhookGet"> = (p) => this.#read(webhooks.webhookGet, p);
  webhookAgain: Verb<"webhookAgain"> = (p) => this.#durably(webhooks.webhookAgain, p);
  webhookNext: Verb<"webhookNext"> = (p) => this.#read(webhooks.webhookNext, p);

  eventAppend: Verb<"eventAppend"> = (p) => this.#visibly(events.eventAppend, p);
  eventRange: Verb<"eventRange"> = (p) => this.#read(events.eventRange, p);
  blobUnreferenced: Verb<"blobUnreferenced"> = (p) => this.#read(upkeep.blobUnreferenced, p);
  blobsNeeded: Verb<"blobsNeeded"> = (p) => this.#read(upkeep.blobsNeeded, p);
  about = () => this.#read(upkeep.about, {});
  check = () => this.#read(upkeep.check, {});
  backup: Verb<"backup"> = (p) => backup(this.#db, p);

  /** Changes the limit of pages; for tests of a disk that is full and then is not. */
  limitPages(maxPages: number): void {
    this.#db.limitPages(maxPages);
  }

  /** Commits what is queued and closes the file; may be called again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#commits.close();
    this.#db.close();
  }

  #durably<P, R>(verb: (db: Connection, p: P) => R, p: P): Promise<R> {
    return this.#commits.write(true, () => verb(this.#db, p));
  }

  #visibly<P, R>(verb: (db: Connection, p: P) => R, p: P): Promise<R> {
    return this.#commits.write(false, () => verb(this.#db, p));
  }

  async #read<P, R>(verb: (db: Connection, p: P) => R, p: P): Promise<R> {
    try {
      return verb(this.#db, p);
    } catch (error) {
      throw toAthanorError(error, this.#db.path);
    }
  }
}
