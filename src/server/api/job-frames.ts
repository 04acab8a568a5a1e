import type { JobEvent, WatchEvent } from "../../protocol/event.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId } from "../../protocol/names.ts";
import type { Context } from "../context.ts";
import type { JobWatch, WatchParams } from "../events/watch.ts";
import { cursorFrame, type FrameSource, frame } from "../http/event-stream.ts";
import { withKey } from "../jobs/links.ts";
import { hasMedia } from "../jobs/media.ts";

export interface JobFramesParams extends Omit<WatchParams, "toJson"> {
  context: FrameContext;
  /** The job's, which then stands in its links; null where the watcher has a token. */
  key: string | null;
}

type Frame = Buffer | Promise<Buffer>;

/** By the event, which all watchers of a job share: each is encoded once. With a job's key in its links it is another frame. */
const plainFrames = new WeakMap<WatchEvent, Frame>();
const keyedFrames = new WeakMap<WatchEvent, Frame>();

/** A job's events as they are sent. A value that is in a blob, or that names files, is completed first; what comes after it waits. */
export class JobFrames implements FrameSource {
  error: unknown = null;
  readonly #context: FrameContext;
  readonly #job: number;
  readonly #key: string | null;
  readonly #watch: JobWatch;
  readonly #wake: () => void;
  #completing = false;
  #completed: Buffer | null = null;
  /** The id of the last event that was sent, or of the last mark. */
  #sent = 0;

  constructor(p: JobFramesParams, wake: () => void) {
    const { context, job, after, snapshot, only, hold } = p;
    this.#context = context;
    this.#job = job;
    this.#key = p.key;
    this.#wake = wake;
    this.#watch = context.events.watch(
      { job, after, snapshot, only, hold: hold ?? false, toJson: (record) => context.jobs.toJson(record) },
      wake,
    );
    this.#sent = this.#watch.cursor;
  }

  get over(): boolean {
    if (this.#completing || this.#completed !== null) return false;
    this.error ??= this.#watch.error;
    return this.#watch.over;
  }

  get loading(): boolean {
    return this.#completing || this.#watch.loading;
  }

  take(): Uint8Array | null {
    if (this.#completing) return null;
    const completed = this.#completed;
    if (completed !== null) {
      this.#completed = null;
      return completed;
    }
    const event = this.#watch.take();
    if (event === null) return null;
    this.#sent = event.id;
    const encoded = this.#frameOf(event);
    if (!(encoded instanceof Promise)) return encoded;
    this.#complete(encoded);
    return null;
  }

  /** A watcher that is spared most events would be found behind the window when it comes back, though it has missed none of its own. */
  mark(): Uint8Array | null {
    const { cursor } = this.#watch;
    if (this.#completing || cursor <= this.#sent) return null;
    this.#sent = cursor;
    return cursorFrame(cursor);
  }

  close(): void {
    this.#watch.close();
  }

  #complete(encoded: Promise<Buffer>): void {
    this.#completing = true;
    encoded
      .then((buffer) => {
        this.#completed = buffer;
      })
      .catch((error: unknown) => {
        this.error = error;
        this.#watch.close();
      })
      .finally(() => {
        this.#completing = false;
        this.#wake();
      });
  }

  #frameOf(event: WatchEvent): Frame {
    const frames = this.#key === null ? plainFrames : keyedFrames;
    let encoded = frames.get(event);
    if (encoded === undefined) {
      encoded = this.#encode(event);
      frames.set(event, encoded);
      if (encoded instanceof Promise)
        encoded.then(
          (buffer) => frames.set(event, buffer),
          () => frames.delete(event),
        );
    }
    return encoded;
  }

  #encode(event: WatchEvent): Frame {
    if (event.event === "job.snapshot" || event.event === "stream.reset") return this.#keyed(event, event.data);
    if (event.event !== "job.result" && event.event !== "job.chunk") return frame(event);
    if (!isIncomplete(event)) return this.#keyed(event, event.data);
    return completeValue(this.#context, this.#job, event).then((value) => {
      const { blob: _, ...data } = { blob: undefined, ...event.data };
      return this.#keyed(event, { ...data, value });
    });
  }

  #keyed({ id, event }: WatchEvent, data: unknown): Buffer {
    const key = this.#key;
    return frame({ id, event, data: key === null ? data : withKey(data, formatId("jobs", this.#job), key) });
  }
}

type FrameContext = Pick<Context, "blobs" | "events" | "jobs">;
type ValueEvent = Extract<JobEvent, { event: "job.result" | "job.chunk" }>;

/** The value is elsewhere, or names files. */
function isIncomplete({ event, data }: ValueEvent): boolean {
  if (event === "job.result" && data.blob !== undefined) return true;
  return typeof data.value === "object" && data.value !== null && hasMedia(JSON.stringify(data.value));
}

function completeValue({ jobs: { view } }: FrameContext, job: number, { event, data }: ValueEvent): Promise<Json> {
  return event === "job.result" ? view.expandResult(job, data) : view.expand(job, data.value);
}
