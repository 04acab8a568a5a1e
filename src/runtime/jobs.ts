import { type ChunkMessage, chunkCost, FrameType, type OpenJob } from "../protocol/replica.ts";
import type { Encoded } from "../schema/encode.ts";
import { readAttachments } from "./attachments.ts";
import type { Call } from "./call.ts";
import { withInlineMedia } from "./inline-media.ts";
import { chunksOf, encode, invoke } from "./invoke.ts";
import { sendAnswer } from "./job-answer.ts";
import type { LoadedApp, LoadedFunction } from "./load.ts";
import type { Logs } from "./logs.ts";
import { ProgressReports } from "./progress.ts";

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
        batch: null,
        traceparent: () => call.traceparent,
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
  await sendAnswer(call, logs, answer, failure);
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
