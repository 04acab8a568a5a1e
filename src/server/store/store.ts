import type { JobStatus } from "../../protocol/job.ts";
import type { BlobVerbs } from "./contract/blobs.ts";
import type { DeploymentVerbs } from "./contract/deployments.ts";
import type { EventVerbs } from "./contract/events.ts";
import type { InspectionVerbs } from "./contract/inspection.ts";
import type { JobVerbs } from "./contract/jobs.ts";
import type { QueueVerbs } from "./contract/queues.ts";
import type { ScheduleVerbs } from "./contract/schedules.ts";
import type { ServerVerbs } from "./contract/servers.ts";
import type { WebhookVerbs } from "./contract/webhooks.ts";

export type * from "./contract/blobs.ts";
export type * from "./contract/deployments.ts";
export type * from "./contract/events.ts";
export type * from "./contract/inspection.ts";
export type * from "./contract/job.ts";
export type * from "./contract/jobs.ts";
export type * from "./contract/queues.ts";
export type * from "./contract/schedules.ts";
export type * from "./contract/servers.ts";
export type * from "./contract/webhooks.ts";

/**
 * Where state lives. One contract, one conformance suite (test/store), any number of implementations.
 *
 * Every verb takes one params object and the time (`now`, milliseconds since 1970, of `clock()`), runs as one atomic step, and
 * resolves only after that step is committed: durably (on disk, surviving power loss) for the verbs marked D, visibly for the others,
 * which a crash may undo as if they had never been called. A store that has no room rejects with `storage_full` and
 * changes nothing.
 */
export interface Store
  extends ServerVerbs,
    DeploymentVerbs,
    JobVerbs,
    QueueVerbs,
    ScheduleVerbs,
    WebhookVerbs,
    EventVerbs,
    BlobVerbs,
    InspectionVerbs,
    AsyncDisposable {
  /** Several servers may use it at once. */
  readonly shared: boolean;
  /** Milliseconds since 1970 by the clock that all servers of the store agree on. */
  clock(): number;
  /** Tells of steps that other servers took, once they are committed; own steps are not told. Returns what ends it. */
  subscribe(listener: (signal: StoreSignal) => void): () => void;
}

/** What a verb takes. */
export type VerbParams<Verb extends keyof Store> = Store[Verb] extends (p: infer P) => unknown ? P : never;

/** What another server has done. It may be told twice, or late. */
export type StoreSignal =
  /** Jobs of the function may be claimed that could not be before. */
  | { type: "due"; deployment: number; function: string }
  /** The job was made, or has changed its status. */
  | { type: "job"; job: number; app: string; function: string; status: JobStatus }
  /** The job's log has grown. */
  | { type: "events"; job: number }
  /** The running job is asked to stop. */
  | { type: "cancel"; job: number }
  /** Which deployments are live has changed, or an app was deleted. */
  | { type: "deployments" }
  /** A schedule or a webhook may be due sooner than was known. */
  | { type: "schedules" }
  | { type: "webhooks" }
  /** Signals may have been missed: everything is to be looked at again. */
  | { type: "missed" };
