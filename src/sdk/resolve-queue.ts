import { QUEUE_DEFAULTS as Q } from "../protocol/defaults.ts";
import type { AthanorError } from "../protocol/errors.ts";
import type { BatchSpec, QueueSpec } from "../protocol/spec.ts";
import type { AppOptions, EndpointOptions, ProjectOptions, QueueOptions } from "./options.ts";

export interface QueueSources {
  kind: "function" | "endpoint";
  own: EndpointOptions;
  app: AppOptions;
  project: ProjectOptions;
  batch: BatchSpec | null;
  /** The error that says what is wrong. */
  refuse(what: string): AthanorError;
}

/** The queue of a function; null: its calls are synchronous. */
export function resolveQueue({ kind, own, app, project, batch, refuse }: QueueSources): QueueSpec | null {
  const queued = own.queue !== undefined || (own.useQueue ?? app.compute === "serverless");
  if (own.queue !== undefined && own.useQueue === false) {
    throw refuse("queue is given, but useQueue is false: leave one of them out");
  }
  if (kind === "endpoint" && !queued) return null;
  const levels = [own, app, project as EndpointOptions].map(({ queue, concurrency }) => ({
    ...defined<QueueOptions>(queue ?? {}),
    concurrency,
  }));
  const maxWorkers = resolveMaxWorkers(levels, batch, refuse);
  const nearest = <K extends "size" | "ttlS">(key: K) =>
    levels.find((level) => level[key] !== undefined)?.[key] ?? Q[key];
  return { size: nearest("size"), maxWorkers, ttlS: nearest("ttlS") };
}

/**
 * Jobs at a time per replica: what the nearest place that says anything of it says. A limit over all replicas that comes without one per replica
 * lets a single replica hold them all.
 */
function resolveMaxWorkers(
  levels: { maxWorkers?: number | undefined; concurrency: number | undefined }[],
  batch: BatchSpec | null,
  refuse: QueueSources["refuse"],
): number {
  const own = levels[0]?.maxWorkers;
  if (batch !== null && own !== undefined && own < batch.maxSize) {
    const what = `queue.maxWorkers is ${own}, which is less than batch.maxSize, ${batch.maxSize}: a batch would never be full`;
    throw refuse(what);
  }
  const said = levels
    .map(({ maxWorkers, concurrency }) => maxWorkers ?? concurrency)
    .find((value) => value !== undefined);
  return own ?? Math.max(said ?? Q.maxWorkers, batch?.maxSize ?? 1);
}

/** Without the entries that are undefined, which would hide a default. */
export function defined<T extends object>(options: object): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
