import { setTimeout as sleep } from "node:timers/promises";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { NewJobEvent } from "../../protocol/event.ts";
import type { JobError } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import { MAX_TIMER_MS } from "../alarm.ts";
import type { JobCall, ReplicaSession } from "../replicas/session.ts";
import type { JobRecord } from "../store/store.ts";
import { hasMedia, loadMedia } from "./media.ts";
import type { JobBlobs, JobEvents } from "./options.ts";
import type { AttemptAnswer, Stopping } from "./outcome.ts";
import { payloadBlob, payloadText } from "./payload.ts";

const CHUNK_RETRY_MS = 500;

export interface AttemptOptions {
  record: JobRecord;
  fn: FunctionSpec;
  session: ReplicaSession;
  events: JobEvents;
  blobs: JobBlobs;
  /** Default SERVER_DEFAULTS.cancelGraceMs. */
  cancelGraceMs?: number;
}

/**
 * One attempt of one job on one replica.
 *
 *   loading  --input read-->                   open       the replica has the call
 *   open     --stop(), or timeoutS is over-->  stopping   CANCEL was sent; the code has its grace
 *   stopping --grace is over-->                killed     the replica is killed; others on it are lost with it
 *   loading | open | stopping | killed --answer--> over
 */
export class Attempt {
  readonly record: JobRecord;
  readonly fn: FunctionSpec;
  /** Why its code was told to stop; decides the job's end. */
  stopping: Stopping = null;
  /** It logged something, so that the log must be flushed before the job's end. */
  logged = false;
  readonly #options: AttemptOptions;
  /** It yielded something, which must be stored before its success is. */
  chunked = false;
  #call: JobCall | null = null;
  #timer: NodeJS.Timeout | null = null;
  #over = false;
  /** Its chunks wait for no reader any more. */
  readonly #released = Promise.withResolvers<void>();
  #flush: Promise<void> = Promise.resolve();
  #nextFlush: Promise<void> | null = null;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.record = options.record;
    this.fn = options.fn;
  }

  /** Runs the job's code to its end. Never rejects. */
  async run(): Promise<AttemptAnswer> {
    const loaded = this.#loadInput();
    const { input, media, failed } = loaded instanceof Promise ? await loaded : loaded;
    if (failed !== null) return { type: "error", error: failed, retryable: false };
    if (this.stopping !== null) return { type: "notRun", why: "It was stopped before it reached its replica." };
    if (!this.#options.session.takesCalls)
      return { type: "notRun", why: "The replica was gone before the job reached it." };
    try {
      this.#call = this.#open(input, media);
    } catch (error) {
      const why = `The job could not be given to its replica: ${messageOf(error)}`;
      // Its connection may have broken a moment before its end is known.
      if (error instanceof AthanorError && error.code === "replica_crashed") return { type: "notRun", why };
      return { type: "error", error: { code: "internal", message: why }, retryable: false };
    }
    this.#timer = setTimeout(() => this.stop("timeout"), Math.min(this.fn.timeoutS * 1000, MAX_TIMER_MS));
    const answer = await this.#call.answer;
    this.#over = true;
    this.#released.resolve();
    clearTimeout(this.#timer);
    return answer;
  }

  /** Tells the code to stop; kills its replica where it does not heed that. The first reason holds. */
  stop(reason: "cancelled" | "timeout"): void {
    if (this.#over || this.stopping !== null) return;
    this.stopping = reason;
    this.#released.resolve();
    if (this.#call === null) return;
    this.#call.cancel(reason);
    this.#options.session.probe();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => void this.#options.session.kill(),
      this.#options.cancelGraceMs ?? SERVER_DEFAULTS.cancelGraceMs,
    );
  }

  /** The server stops and cannot wait: the replica is killed. */
  async abandon(): Promise<void> {
    this.#call?.cancel("shutdown");
    await this.#options.session.kill();
  }

  #loadInput(): LoadedInput | Promise<LoadedInput> {
    const { input } = this.record;
    if (payloadBlob(input) === null && !hasMedia(input)) return { input, media: [], failed: null };
    return this.#readInput().catch((error: unknown) => {
      return { input: "null", media: [], failed: { code: "internal", message: messageOf(error) } };
    });
  }

  async #readInput(): Promise<LoadedInput> {
    const { blobs } = this.#options;
    const text = await payloadText(this.record.input, blobs);
    if (!hasMedia(text)) return { input: text, media: [], failed: null };
    const { value, media } = await loadMedia(text, blobs);
    return { input: JSON.stringify(value), media, failed: null };
  }

  #open(input: string, media: Uint8Array[]): JobCall {
    const { record, fn } = this;
    const message = {
      kind: "job" as const,
      jobId: formatId("jobs", record.job),
      function: fn.name,
      attempt: record.attempt,
      inputText: input,
      media: media.map((bytes) => ({ size: bytes.byteLength })),
      eventsWindow: record.eventsWindow,
      ...(record.traceparent === null ? {} : { traceparent: record.traceparent }),
    };
    return this.#options.session.openJob(message, media, {
      progress: ({ progress, message: text }) =>
        this.#log({ event: "job.progress", data: { progress, message: text } }),
      // The function is held at its `yield` while its chunks wait for the disk, or for who reads them.
      chunk: ({ index, value }) => {
        this.chunked = true;
        this.#log({ event: "job.chunk", data: { index, value } });
        const bytes = JSON.stringify(value).length;
        return this.#stored().then(() => this.#roomFor({ index, bytes }));
      },
      log: ({ fd, line, at, dropped }) =>
        this.#log({ event: "job.log", data: { stream: fd, line, at: new Date(at).toISOString() } }, dropped),
    });
  }

  /** Resolves when all that is logged by now is stored. Calls that come while one write is under way share the next. */
  #stored(): Promise<void> {
    this.#nextFlush ??= this.#flush.then(() => {
      this.#nextFlush = null;
      this.#flush = this.#flushUntilStored();
      return this.#flush;
    });
    return this.#nextFlush;
  }

  /** While the store takes nothing it is asked again, and the function waits at its `yield`; until the attempt is over. */
  async #flushUntilStored(): Promise<void> {
    for (;;) {
      try {
        await this.#options.events.flush(this.record.job);
        return;
      } catch {
        if (this.#over) return;
        await sleep(CHUNK_RETRY_MS);
      }
    }
  }

  /** `dropped`: how many before it have been lost on the way. */
  async #roomFor(chunk: { index: number; bytes: number }): Promise<void> {
    await this.#options.events.roomForChunk(this.record.job, chunk, this.#window, this.#released.promise);
  }

  get #window(): { events: number; bytes: number } {
    return { events: this.record.eventsWindow, bytes: this.record.eventsWindowBytes };
  }

  #log(event: NewJobEvent, dropped = 0): void {
    const { job, fence } = this.record;
    this.logged = true;
    this.#options.events.append({ job, fence, events: [event] }, this.#window, dropped);
  }
}

interface LoadedInput {
  /** JSON. */
  input: string;
  media: Uint8Array[];
  failed: JobError | null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
