import { Connection } from "./sqlite/connection.ts";
import * as deployments from "./sqlite/deployments.ts";
import * as events from "./sqlite/events.ts";
import { toAthanorError } from "./sqlite/faults.ts";
import { GroupCommit } from "./sqlite/group-commit.ts";
import * as reads from "./sqlite/job-reads.ts";
import * as queue from "./sqlite/queue.ts";
import * as transitions from "./sqlite/transitions.ts";
import * as upkeep from "./sqlite/upkeep.ts";
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

async function notYet(): Promise<never> {
  throw new Error("this verb has no SQLite implementation yet");
}

/** The store in one SQLite file, on this thread. Verbs that write are committed in groups; reads see what is committed. */
export class SqliteStore implements Store {
  readonly #db: Connection;
  readonly #commits: GroupCommit;

  constructor(db: Connection) {
    this.#db = db;
    this.#commits = new GroupCommit(db);
  }

  deploymentInsert: Verb<"deploymentInsert"> = (p) => this.#durably(deployments.deploymentInsert, p);
  deploymentActivate: Verb<"deploymentActivate"> = (p) => this.#durably(deployments.deploymentActivate, p);
  deploymentFail: Verb<"deploymentFail"> = (p) => this.#durably(deployments.deploymentFail, p);
  deploymentGet: Verb<"deploymentGet"> = (p) => this.#read(deployments.deploymentGet, p);
  deploymentList: Verb<"deploymentList"> = (p) => this.#read(deployments.deploymentList, p);
  deploymentListLive = () => this.#read(deployments.deploymentListLive, {});
  deploymentListNeeded = () => this.#read(deployments.deploymentListNeeded, {});
  appDelete: Verb<"appDelete"> = (p) => this.#durably(deployments.appDelete, p);

  readonly shared = false;
  clock = Date.now;
  subscribe = () => () => {};
  serverBeat: Verb<"serverBeat"> = notYet;
  serverLeave: Verb<"serverLeave"> = notYet;
  metaClaim: Verb<"metaClaim"> = notYet;
  numberTake: Verb<"numberTake"> = notYet;
  jobCancelMany: Verb<"jobCancelMany"> = notYet;
  jobExpire: Verb<"jobExpire"> = notYet;
  jobRunNow: Verb<"jobRunNow"> = notYet;
  queueList: Verb<"queueList"> = notYet;
  queuePause: Verb<"queuePause"> = notYet;
  keyList: Verb<"keyList"> = notYet;
  scheduleList: Verb<"scheduleList"> = notYet;
  schedulePause: Verb<"schedulePause"> = notYet;
  scheduleDue: Verb<"scheduleDue"> = notYet;
  scheduleNext = notYet;
  scheduleFire: Verb<"scheduleFire"> = notYet;
  webhookClaim: Verb<"webhookClaim"> = notYet;
  webhookFinish: Verb<"webhookFinish"> = notYet;
  webhookGet: Verb<"webhookGet"> = notYet;
  webhookNext: Verb<"webhookNext"> = notYet;
  backup: Verb<"backup"> = notYet;

  jobInsertMany: Verb<"jobInsertMany"> = (p) => this.#durably(queue.jobInsertMany, p);
  jobClaim: Verb<"jobClaim"> = (p) => this.#visibly(queue.jobClaim, p);
  jobFinish: Verb<"jobFinish"> = (p) => this.#durably(transitions.jobFinish, p);
  jobCancel: Verb<"jobCancel"> = (p) => this.#durably(transitions.jobCancel, p);
  jobRescue: Verb<"jobRescue"> = (p) => this.#durably(transitions.jobRescue, p);
  jobGet: Verb<"jobGet"> = (p) => this.#read(reads.jobGet, p);
  jobList: Verb<"jobList"> = (p) => this.#read(reads.jobList, p);
  jobPosition: Verb<"jobPosition"> = (p) => this.#read(reads.jobPosition, p);
  jobCounts: Verb<"jobCounts"> = (p) => this.#read(reads.jobCounts, p);
  jobNextDue: Verb<"jobNextDue"> = (p) => this.#read(reads.jobNextDue, p);
  jobPrune: Verb<"jobPrune"> = (p) => this.#visibly(upkeep.jobPrune, p);

  eventAppend: Verb<"eventAppend"> = (p) => this.#visibly(events.eventAppend, p);
  eventRange: Verb<"eventRange"> = (p) => this.#read(events.eventRange, p);
  blobUnreferenced: Verb<"blobUnreferenced"> = (p) => this.#read(upkeep.blobUnreferenced, p);
  check = () => this.#read(upkeep.check, {});

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
