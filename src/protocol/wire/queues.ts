/** The jobs of one function that wait and run, over all deployments of the app. */
export interface QueueJson {
  app: string;
  function: string;
  paused: boolean;
  queued: number;
  running: number;
  /** As the live deployment has it; null: it has no such function. */
  limits: QueueLimitsJson | null;
}

export interface QueueLimitsJson {
  size: number;
  /** Jobs at a time over all replicas; null: as many as these have places. */
  concurrency: number | null;
  key_concurrency: number;
  rate: { limit: number; per_s: number } | null;
}

/** Jobs of one concurrency key of a function. */
export interface KeyJson {
  key: string;
  queued: number;
  running: number;
  limit: number;
}
