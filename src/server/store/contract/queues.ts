/** Queues: one for each function of an app, over all its deployments. */
export interface QueueVerbs {
  /** Those with queued or running jobs, and those that are paused, by app and function. */
  queueList(p: { app?: string }): Promise<QueueRecord[]>;
  /** D. Of a paused queue nothing is claimed; what runs goes on. */
  queuePause(p: { app: string; function: string; paused: boolean; now: number }): Promise<QueueRecord>;
  /** Concurrency keys with queued or running jobs, by key; `after` is a key, exclusive. */
  keyList(p: { app: string; function: string; after?: string; limit: number }): Promise<KeyRecord[]>;
}

export interface QueueRecord {
  app: string;
  function: string;
  paused: boolean;
  queued: number;
  running: number;
}

export interface KeyRecord {
  key: string;
  queued: number;
  running: number;
  /** Of its newest job. */
  limit: number;
}
