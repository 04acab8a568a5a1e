import type { JobStatus } from "./job.ts";
import type { ReplicaJson } from "./wire.ts";

/** The data of each type of event in the stream of the whole server. Times are ISO 8601. */
export interface ServerEventData {
  /** A job was made, or has changed its status. */
  job: { job_id: string; app: string; function: string; status: JobStatus; at: string };
  /** `reason`: why it is going or gone, where that was not by order. */
  replica: {
    replica_id: string;
    app: string;
    deployment_id: string;
    status: ReplicaJson["status"] | "ended";
    reason?: string;
    at: string;
  };
  deployment: {
    deployment_id: string;
    app: string;
    status: "live" | "superseded" | "failed" | "deleted";
    /** Why it is not live, where it is `failed`. */
    error?: { code: string; message: string };
    at: string;
  };
}

export type ServerEventType = keyof ServerEventData;

export const SERVER_EVENT_TYPES = ["job", "replica", "deployment"] as const satisfies ServerEventType[];

/** One entry; its id is `<epoch>-<number>`, where each start of the server is a new epoch. */
export type ServerEvent = {
  [T in ServerEventType]: { id: string; event: T; data: ServerEventData[T] };
}[ServerEventType];

/** What a watcher of the server is sent. */
export type ServerWatchEvent =
  | ServerEvent
  /** The server as of `id`, or a moment later. First, and after each reset. */
  | { id: string; event: "server.snapshot"; data: ServerSnapshot }
  /** The cursor is of an earlier start of the server, or fell behind the events that are kept; a snapshot follows. */
  | { id: string; event: "stream.reset"; data: { requested: string; earliest: string; latest: string } };

export interface ServerSnapshot {
  at: string;
  /** Every function of the live deployments, and every other that has queued or running jobs. */
  functions: { app: string; function: string; queued: number; running: number }[];
  /** Of this server. */
  replicas: ReplicaJson[];
  /** The live ones. */
  deployments: { deployment_id: string; app: string; status: "live"; created_at: string }[];
}
