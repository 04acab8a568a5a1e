import { inspect } from "node:util";
import { AthanorError, type ErrorCode } from "../protocol/errors.ts";
import { FrameError } from "../protocol/frames.ts";
import type { JobError } from "../protocol/job.ts";
import type { RetryOn } from "./load.ts";

const MAX_MESSAGE_CHARS = 8 * 1024;
const MAX_STACK_CHARS = 16 * 1024;

/** What user code threw, as a job's error. Takes anything: no error, huge ones, getters that throw. */
export function toJobError(thrown: unknown, code: ErrorCode = "handler_error"): JobError {
  const stack = text(thrown, "stack");
  return {
    code: codeOf(thrown) ?? code,
    message: cut(messageOf(thrown), MAX_MESSAGE_CHARS),
    ...(stack === undefined ? {} : { stack: cut(stack, MAX_STACK_CHARS) }),
  };
}

/** False where the error says so itself: `retryable === false`. */
function isRetryable(thrown: unknown): boolean {
  try {
    return (thrown as { retryable?: unknown } | null | undefined)?.retryable !== false;
  } catch {
    return true;
  }
}

/**
 * Whether another attempt is worth it: what the error says, then what the function's own `retryOn` says. One that throws is reported, and leaves
 * the job its retries.
 */
export function isWorthRetry(thrown: unknown, retryOn: RetryOn | null, report: (text: string) => void): boolean {
  if (!isRetryable(thrown)) return false;
  if (retryOn === null) return true;
  try {
    return Boolean(retryOn(thrown));
  } catch (error) {
    report(`retryOn threw, so the job is retried while attempts are left: ${shown(error)}`);
    return true;
  }
}

/** What is written to the log of what was thrown: the stack, else the value as console.log shows it. */
export function shown(thrown: unknown): string {
  const { message, stack } = toJobError(thrown);
  return stack ?? message;
}

/**
 * Errors that this runtime raises keep their code. Those that user code throws are of the bundle's own copy of the class, and are the
 * handler's like all else.
 */
function codeOf(thrown: unknown): ErrorCode | null {
  if (thrown instanceof FrameError) return "output_invalid";
  return thrown instanceof AthanorError ? thrown.code : null;
}

function messageOf(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  const message = text(thrown, "message");
  if (message !== undefined) {
    const name = text(thrown, "name");
    return name === undefined || name === "Error" || name === "AthanorError" ? message : `${name}: ${message}`;
  }
  try {
    return `a value that is no Error was thrown: ${inspect(thrown, { depth: 2, maxArrayLength: 20, maxStringLength: 1000, breakLength: 120 })}`;
  } catch {
    return "a value that is no Error was thrown, and it cannot be shown";
  }
}

function text(value: unknown, key: string): string | undefined {
  try {
    const found = (value as Record<string, unknown> | null | undefined)?.[key];
    return typeof found === "string" ? found : undefined;
  } catch {
    return undefined;
  }
}

function cut(value: string, maxChars: number): string {
  return value.length <= maxChars ? value : `${value.slice(0, maxChars)}… [${value.length - maxChars} more characters]`;
}
