import type { Auth } from "../auth.ts";
import type { Config } from "../config.ts";
import type { Deployments } from "../deployments/service.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Log } from "../log.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";

/** What the gateway needs of the server. */
export interface GatewayContext {
  readonly config: Pick<Config, "domain" | "publicUrl" | "tls" | "proxies">;
  readonly log: Log;
  /** Aborted when the server begins to stop. */
  readonly stopping: AbortSignal;
  readonly auth: Auth;
  readonly scheduler: Scheduler;
  readonly jobs: Jobs;
  readonly deployments: Deployments;
  /** Where this server is reached on this machine. */
  url(): string;
}
