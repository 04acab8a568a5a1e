import type { Json } from "../protocol/json.ts";
import { FrameType, type HeadMessage } from "../protocol/replica.ts";
import type { Encoded } from "../schema/encode.ts";
import type { Call } from "./call.ts";
import type { Logs } from "./logs.ts";
import { isWorthRetry, toJobError } from "./thrown.ts";

/** Sends what a job came to: its result, or what was thrown. Its log goes before. */
export async function sendAnswer(call: Call, logs: Logs, answer: Encoded | null, failure: unknown): Promise<void> {
  const head = answer === null ? errorHead(call, logs, failure) : null;
  logs.finish(call);
  if (answer !== null) await sendResult(call, answer);
  else call.connection.json(FrameType.HEAD, call.stream, head);
}

async function sendResult(call: Call, { value, attachments }: Encoded): Promise<void> {
  const head: HeadMessage = {
    kind: "result",
    value: value as Json,
    media: attachments.map(({ bytes }) => ({ size: bytes.length })),
  };
  try {
    call.connection.json(FrameType.HEAD, call.stream, head);
  } catch (error) {
    const tooLarge: HeadMessage = { kind: "error", error: toJobError(error), retryable: true };
    call.connection.json(FrameType.HEAD, call.stream, tooLarge);
    return;
  }
  for (const { bytes } of attachments) await call.output.write(bytes);
}

/** The answer of a job whose code has thrown. */
export function errorHead(call: Call, logs: Logs, thrown: unknown): Extract<HeadMessage, { kind: "error" }> {
  const reason = call.cancelled;
  // Code that heeds its signal mostly throws an AbortError of some kind; what it was stopped for says more.
  const error = reason ? { ...toJobError(thrown), code: reason.code } : toJobError(thrown);
  const retryOn = reason ? null : call.retryOn;
  const retryable = isWorthRetry(thrown, retryOn, (text) => logs.write("stderr", `${text}\n`, call));
  return { kind: "error", error, retryable };
}
