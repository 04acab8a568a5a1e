import { QUEUE_DEFAULTS } from "../../protocol/defaults.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { NewJob } from "../store/store.ts";
import type { StoredPayload } from "./payload.ts";

/** How one call is queued, checked; what is null, as the function's own options say. */
export interface SpawnOptions {
  priority: number | null;
  /** Milliseconds since 1970, or from now; at most one of the two. */
  runAt: number | null;
  delayMs: number | null;
  ttlS: number | null;
  expireS: number | null;
  concurrencyKey: string | null;
  webhook: { url: string; secret: string } | null;
  /** The job whose code makes the call. */
  parent: number | null;
}

export const NO_OPTIONS: SpawnOptions = {
  priority: null,
  runAt: null,
  delayMs: null,
  ttlS: null,
  expireS: null,
  concurrencyKey: null,
  webhook: null,
  parent: null,
};

export interface NewJobParams {
  deployment: { app: string; number: number };
  fn: FunctionSpec;
  input: StoredPayload;
  options: SpawnOptions;
  idempotency: NewJob["idempotency"];
  retryOf: number | null;
  traceparent: string | null;
  now: number;
}

/** A job as the store takes it. */
export function newJob({
  deployment,
  fn,
  input,
  options,
  idempotency,
  retryOf,
  traceparent,
  now,
}: NewJobParams): NewJob {
  const { concurrencyKey } = options;
  const runAt = options.delayMs === null ? options.runAt : now + options.delayMs;
  const runAfter = runAt === null || runAt <= now ? null : runAt;
  const expireS = options.expireS ?? fn.expireS;
  return {
    app: deployment.app,
    function: fn.name,
    deployment: deployment.number,
    input: input.payload,
    inputBlobs: input.blobs,
    queueSize: fn.queue?.size ?? QUEUE_DEFAULTS.size,
    ttlS: options.ttlS ?? fn.queue?.ttlS ?? QUEUE_DEFAULTS.ttlS,
    eventsWindow: fn.events.window,
    eventsWindowBytes: fn.events.windowBytes,
    maxAttempts: fn.retries.max + 1,
    idempotency,
    priority: options.priority ?? fn.priority,
    runAfter,
    // From when it may start, so that a delay takes nothing of it.
    expiresAt: expireS === null ? null : (runAfter ?? now) + expireS * 1000,
    concurrencyKey: concurrencyKey === null ? null : { key: concurrencyKey, limit: fn.limits.keyConcurrency },
    parent: options.parent,
    retryOf,
    traceparent,
    webhook: options.webhook,
  };
}
