import type { RetrySpec } from "../../protocol/spec.ts";

/**
 * Milliseconds to wait before the next attempt, after `failed` attempts (1 or more) have failed: `delayS`, growing by `backoff`, at most
 * `maxDelayS`; then `jitter` takes up to that share off or adds it, by `random` (0 to 1), so that jobs that failed together part.
 */
export function retryDelayMs(spec: RetrySpec, failed: number, random: number): number {
  // The power may be infinite, and nothing times that is not a number.
  const grownS = spec.delayS === 0 ? 0 : spec.delayS * spec.backoff ** (failed - 1);
  const delayS = Math.min(spec.maxDelayS, grownS);
  const spread = 1 + spec.jitter * (2 * random - 1);
  return Math.round(Math.min(spec.maxDelayS, delayS * spread) * 1000);
}
