import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { WatchEvent } from "../../protocol/event.ts";
import { isFinal } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import type { JobJson } from "../../protocol/wire.ts";
import { JobFailedError, type JobHandle, type JobWatchEvent, type WatchOptions } from "../handle.ts";
import type { Api } from "./api.ts";
import { eventStream } from "./event-stream.ts";
import { type PersistOptions, persist } from "./persist.ts";
import { isPassing } from "./request.ts";
import { revive } from "./revive.ts";

/** A job on a server. */
export class RemoteJob implements JobHandle {
  readonly id: string;
  readonly #api: Api;
  /** Which function and deployment it belongs to: where its results' types are found. Asked for where it is not known. */
  #origin: Promise<JobOrigin> | null;
  /** The server has been reached before, and is waited for when it is away. */
  readonly #reached: boolean;

  constructor(api: Api, id: string, p: { origin?: JobOrigin; reached?: boolean } = {}) {
    this.#api = api;
    this.id = id;
    this.#origin = p.origin ? Promise.resolve(p.origin) : null;
    this.#reached = p.reached ?? false;
  }

  /** The job that the server has just answered with. */
  static of(api: Api, json: JobJson): RemoteJob {
    return new RemoteJob(api, json.job_id, { origin: json, reached: true });
  }

  status(): Promise<JobJson> {
    return this.#api.getJob(this.id);
  }

  cancel(): Promise<JobJson> {
    return this.#api.cancelJob(this.id);
  }

  async retry(): Promise<RemoteJob> {
    return this.#again((key) => this.#api.retryJob(this.id, key));
  }

  async replay(): Promise<RemoteJob> {
    return this.#again((key) => this.#api.replayJob(this.id, key));
  }

  /** Its key makes one job of all tries. */
  async #again(ask: (key: string) => Promise<JobJson>): Promise<RemoteJob> {
    const key = crypto.randomUUID();
    return RemoteJob.of(this.#api, await persist(() => ask(key), { reached: this.#reached }));
  }

  async result(options: { signal?: AbortSignal } = {}): Promise<unknown> {
    return this.#revive(await waitForResult(this.#api, this.id, { ...options, reached: this.#reached }));
  }

  /** Of a job that is known to have ended. @throws JobFailedError where it ended in any other way than by success. */
  async resultOf(job: JobJson): Promise<unknown> {
    if (job.status !== "succeeded") throw new JobFailedError(job);
    return this.#revive(job.result);
  }

  async *watch(options: WatchOptions = {}): AsyncGenerator<JobWatchEvent, void, undefined> {
    yield* this.#events(options);
  }

  async *#events(options: WatchOptions & { hold?: boolean }): AsyncGenerator<JobWatchEvent, void, undefined> {
    const events = watchJob(this.#api, this.id, { ...options, reached: this.#reached });
    for await (const event of events) yield await this.#decoded(event);
  }

  /** The chunks of a generator, each once and in order; while this reader is far behind, the function is held at its `yield`. @throws JobFailedError, and AthanorError `chunks_lost`. */
  async *chunks(): AsyncGenerator<unknown, void, undefined> {
    let next = 0;
    for await (const event of this.#events({ events: ["job.chunk"], hold: true })) {
      if (event.event === "job.chunk") {
        const { index, value } = event.data;
        if (index > next) throw this.#chunksLost(next, index);
        // A retried job makes its chunks from the first on.
        if (index < next) continue;
        next += 1;
        yield value;
      } else if (event.event === "job.end" && event.data.status !== "succeeded")
        throw new JobFailedError({ job_id: this.id, status: event.data.status, error: event.data.error ?? null });
    }
  }

  #chunksLost(from: number, to: number): AthanorError {
    return new AthanorError(
      "chunks_lost",
      `chunks ${from} to ${to - 1} of ${this.id} had left its event window before they were read`,
    );
  }

  async #decoded(event: WatchEvent): Promise<JobWatchEvent> {
    if (event.event !== "job.chunk" && event.event !== "job.result") return event;
    const value = await this.#revive(event.data.value);
    return { ...event, data: { ...event.data, value } } as JobWatchEvent;
  }

  async #revive(value: Json): Promise<unknown> {
    // These are never the wire form of anything else.
    if (value === null || typeof value === "number" || typeof value === "boolean") return value;
    this.#origin ??= this.#api.getJob(this.id);
    const origin = await this.#origin;
    const spec = await this.#api.deploymentSpec(origin.deployment_id);
    const schema = spec.functions.find((fn) => fn.name === origin.function)?.output.schema ?? null;
    return revive(value, { schema, $defs: spec.$defs, fetchBytes: (url) => fetchBytes(this.#api, url) });
  }
}

export type JobOrigin = Pick<JobJson, "function" | "deployment_id">;

/** A job's events as they are on the wire. */
export function watchJob(
  api: Api,
  id: string,
  options: WatchOptions & PersistOptions & { hold?: boolean } = {},
): AsyncGenerator<WatchEvent, void, undefined> {
  return eventStream({
    url: api.url,
    after: options.after,
    snapshot: options.snapshot,
    signal: options.signal,
    reached: options.reached,
    connect: ({ after, snapshot, signal }) =>
      api.send("GET", `/v1/jobs/${encodeURIComponent(id)}/events`, {
        query: { snapshot: snapshot || undefined, events: options.events?.join(","), hold: options.hold },
        headers: { accept: "text/event-stream", ...(after === null ? {} : { "last-event-id": String(after) }) },
        signal,
      }),
  });
}

/**
 * The result as the wire has it, once the job has ended; it is asked for in long polls, through a restart of the server.
 * @throws JobFailedError where the job ended in any other way than by success.
 */
export async function waitForResult(api: Api, id: string, options: PersistOptions = {}): Promise<Json> {
  let { reached } = options;
  for (;;) {
    try {
      return await persist(() => askResult(api, id, CLIENT_DEFAULTS.waitS, options.signal), { ...options, reached });
    } catch (error) {
      if (!(error instanceof AthanorError) || error.code !== "job_not_ended") throw error;
      reached = true;
    }
  }
}

/** Errors of the request itself; any other is how the job ended. */
const NOT_THE_JOBS: ReadonlySet<ErrorCode> = new Set([
  "job_not_ended",
  "job_not_found",
  "not_found",
  "unauthorized",
  "bad_request",
]);

/** The result, where the job ends within the wait. @throws AthanorError `job_not_ended`; JobFailedError. */
export async function askResult(api: Api, id: string, waitS: number, signal?: AbortSignal): Promise<Json> {
  try {
    return await api.getResult(id, waitS, signal);
  } catch (error) {
    if (isPassing(error) || !(error instanceof AthanorError) || NOT_THE_JOBS.has(error.code)) throw error;
    const job = await api.getJob(id, signal);
    throw isFinal(job.status) ? new JobFailedError(job) : error;
  }
}

/** The URL in a media value: a path of the server, or absolute; the token goes to the server alone. */
async function fetchBytes(api: Api, url: string): Promise<Uint8Array> {
  const base = new URL(api.url);
  const target = new URL(url, base);
  const response =
    target.origin === base.origin
      ? await api.send("GET", `${target.pathname}${target.search}`, { headers: { accept: "*/*" } })
      : await fetch(target);
  return new Uint8Array(await response.arrayBuffer());
}
