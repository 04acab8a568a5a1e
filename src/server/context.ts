import type { Auth } from "./auth.ts";
import type { Blobs } from "./blobs/blobs.ts";
import type { Chaos } from "./chaos.ts";
import type { Config } from "./config.ts";
import type { ReplicaLogs } from "./deployments/logs.ts";
import type { DeploymentService } from "./deployments/service.ts";
import type { EventLog } from "./events/event-log.ts";
import type { ServerEvents } from "./events/server-events.ts";
import type { Gateway } from "./gateway/gateway.ts";
import type { EventStreams } from "./http/event-stream.ts";
import type { Jobs } from "./jobs/jobs.ts";
import type { Lease } from "./lease.ts";
import type { Log } from "./log.ts";
import type { Scheduler } from "./scheduler/scheduler.ts";
import type { Schedules } from "./schedules/schedules.ts";
import type { Store } from "./store/store.ts";
import type { Webhooks } from "./webhooks/webhooks.ts";

/** Everything that a server is made of; wiring.ts makes it. What handles a request gets this and nothing global. */
export interface Context {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Aborted when the server begins to stop: whoever waits or streams lets go. */
  readonly stopping: AbortSignal;
  readonly auth: Auth;
  readonly store: Store;
  /** This server among those of the store. */
  readonly lease: Lease;
  readonly blobs: Blobs;
  readonly events: EventLog;
  readonly serverEvents: ServerEvents;
  readonly streams: EventStreams;
  readonly logs: ReplicaLogs;
  readonly scheduler: Scheduler;
  readonly jobs: Jobs;
  readonly schedules: Schedules;
  readonly webhooks: Webhooks;
  readonly deployments: DeploymentService;
  readonly gateway: Gateway;
  /** Faults on purpose; there are none unless they were asked for. */
  readonly chaos: Chaos | undefined;
  /** Where this server is reached on this machine. */
  url(): string;
  isReady(): boolean;
}
