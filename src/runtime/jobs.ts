import { FrameError } from "../protocol/frames.ts";
import type { Json } from "../protocol/json.ts";
import {
  type ChunkMessage,
  chunkCost,
  FrameType,
  type HeadMessage,
  type OpenJob,
  type ProgressMessage,
} from "../protocol/replica.ts";
import type { Encoded } from "../schema/encode.ts";
import type { Call } from "./call.ts";
import { withInlineMedia } from "./inline-media.ts";
import { chunksOf, encode, invoke } from "./invoke.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";
import type { Logs } from "./logs.ts";
import { isRetryable, toJobError } from "./thrown.ts";

/** Progress reports of one turn that are sent one by one; of more, the newest stands for the rest. */
const MAX_PROGRESS_PER_TURN = 32;

/** Runs one attempt of a job and sends its answer. Never throws. */
export async function runJob(p: {
  call: Call;
  open: OpenJob;
  app: LoadedApp;
  fn: LoadedFunction;
  logs: Logs;
}): Promise<void> {
  const { call, open, app, fn, logs } = p;
  const progress = new ProgressReports(call);
  let answer: Encoded | null = null;
  let failure: unknown;
  try {
    const attachments = await readAttachments(call, open.media);
    const value = await invoke({
      app,
      fn,
      body: open.input,
      attachments,
      injected: {
        jobId: open.jobId,
        attempt: open.attempt,
        signal: () => call.signal,
        progress: (fraction, message) => progress.report({ progress: fraction, message }),
        request: () => undefined,
      },
    });
    const chunks = chunksOf(fn, value);
    if (chunks) await sendChunks(call, app, fn, chunks, open.eventsWindow);
    answer = chunks ? { value: null, attachments: [] } : await encode(app, fn, value);
  } catch (error) {
    failure = error;
  }
  progress.flush();
  logs.finish(call);
  if (answer) await sendResult(call, answer);
  else sendError(call, failure);
}

/** The bytes of the input's media, each in one piece. */
async function readAttachments(call: Call, media: { size: number }[]): Promise<Uint8Array[]> {
  const attachments = media.map(({ size }) => Buffer.allocUnsafeSlow(size));
  let index = 0;
  let at = 0;
  if (media.some(({ size }) => size > 0)) {
    for await (const bytes of call.input) {
      for (let from = 0; from < bytes.length; ) {
        while (index < attachments.length && at === attachments[index]?.length) {
          index++;
          at = 0;
        }
        const target = attachments[index];
        if (!target) throw new FrameError("More bytes came than the media of the job have");
        const copied = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).copy(target, at, from);
        from += copied;
        at += copied;
      }
    }
  }
  return attachments;
}

/** The code waits at its `yield` until the server has taken the chunks before. */
async function sendChunks(
  call: Call,
  app: LoadedApp,
  fn: LoadedFunction,
  chunks: AsyncIterable<unknown> | Iterable<unknown>,
  eventsWindow: number,
): Promise<void> {
  let index = 0;
  for await (const chunk of chunks) {
    const message: ChunkMessage = { index: index++, value: withInlineMedia(await encode(app, fn, chunk)) };
    if (!(await call.output.room())) return;
    const payload = Buffer.from(JSON.stringify(message));
    call.output.spend(chunkCost(payload.length, eventsWindow));
    call.connection.bytes(FrameType.CHUNK, call.stream, payload);
    if (call.cancelled) throw call.cancelled;
  }
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
    sendError(call, error);
    return;
  }
  for (const { bytes } of attachments) await call.output.write(bytes);
}

function sendError(call: Call, thrown: unknown): void {
  const reason = call.cancelled;
  // Code that heeds its signal mostly throws an AbortError of some kind; what it was stopped for says more.
  const error = reason ? { ...toJobError(thrown), code: reason.code } : toJobError(thrown);
  const head: HeadMessage = { kind: "error", error, retryable: isRetryable(thrown) };
  call.connection.json(FrameType.HEAD, call.stream, head);
}

/** Sends a turn's reports together, in order; of a flood, the first few and the newest. */
class ProgressReports {
  readonly #call: Call;
  #waiting: ProgressMessage[] = [];
  #scheduled = false;

  constructor(call: Call) {
    this.#call = call;
  }

  report(message: ProgressMessage): void {
    if (this.#call.finished) return;
    if (this.#waiting.length >= MAX_PROGRESS_PER_TURN) this.#waiting.pop();
    this.#waiting.push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#call.connection.backlogged) void this.#call.connection.drained().then(() => this.flush());
    else setImmediate(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#call.finished) return;
    for (const message of this.#waiting) this.#call.connection.json(FrameType.PROGRESS, this.#call.stream, message);
    this.#waiting = [];
  }
}
