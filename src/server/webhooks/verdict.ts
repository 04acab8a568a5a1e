import { WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { ForbiddenHostError } from "../net/public-host.ts";
import type { Answer } from "./post.ts";

/** How a delivery goes on: delivered (no error, no time), tried again at `retryAt`, or given up (an error, and no time). */
export interface Verdict {
  error: string | null;
  retryAt: number | null;
}

export const MAX_ATTEMPTS = WEBHOOK_DEFAULTS.retryDelaysS.length + 1;

/** After an attempt that was answered. */
export function verdictOfAnswer(answer: Answer, p: { attempt: number; now: number; random: number }): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) return { error: null, retryAt: null };
  if (status === 410) return { error: "HTTP 410: the receiver wants no more of it", retryAt: null };
  const error = status >= 300 && status < 400 ? `HTTP ${status}: redirects are not followed` : `HTTP ${status}`;
  return { error, retryAt: retryAt(p, retryAfterMs(answer.retryAfter, p.now)) };
}

/** After an attempt that got no answer. */
export function verdictOfError(
  reason: unknown,
  p: { attempt: number; now: number; random: number; timeoutMs: number },
): Verdict {
  // Where a URL leads is its owner's to change; to try again is only to let it probe this network.
  if (reason instanceof ForbiddenHostError)
    return { error: `${reason.message}; the server delivers to public ones alone`, retryAt: null };
  return { error: describe(reason, p.timeoutMs), retryAt: retryAt(p, 0) };
}

function retryAt({ attempt, now, random }: { attempt: number; now: number; random: number }, leastMs: number) {
  const delayS = WEBHOOK_DEFAULTS.retryDelaysS[attempt - 1];
  if (delayS === undefined) return null;
  const delayMs = delayS * 1000 * (1 + WEBHOOK_DEFAULTS.retryJitter * random);
  return Math.ceil(now + Math.max(delayMs, leastMs));
}

/** Of a Retry-After header: seconds, or a date. 0 where there is none, or it makes no sense. */
function retryAfterMs(header: string | null, now: number): number {
  if (header === null) return 0;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return ms > 0 ? Math.min(ms, WEBHOOK_DEFAULTS.maxRetryAfterS * 1000) : 0;
}

/** What connections fail with, without addresses: it is shown to whoever made the job. */
const FAILURES: { [code: string]: string } = {
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the host name could not be looked up",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before an answer",
  EHOSTUNREACH: "the host is not reached",
  ENETUNREACH: "the network is not reached",
  ETIMEDOUT: "the host did not accept the connection in time",
  EPIPE: "the connection was closed before an answer",
};

function describe(reason: unknown, timeoutMs: number): string {
  if (!(reason instanceof Error)) return "the attempt failed";
  if (reason.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} seconds`;
  if (reason.name === "AbortError") return "the server stopped during the attempt";
  const { code } = reason as NodeJS.ErrnoException;
  // A host with several addresses fails with the failures of all.
  const first: unknown = reason instanceof AggregateError ? reason.errors[0] : null;
  if (code === undefined && first !== null) return describe(first, timeoutMs);
  if (code === undefined) return "the attempt failed";
  return FAILURES[code] === undefined ? `the connection failed: ${code}` : `${FAILURES[code]} (${code})`;
}
