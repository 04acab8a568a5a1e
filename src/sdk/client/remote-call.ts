import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { CallRequest, JobJson, SpawnRequest } from "../../protocol/wire.ts";
import type { Api } from "./api.ts";
import { delay } from "./backoff.ts";
import { RemoteJob } from "./job.ts";
import { persist } from "./persist.ts";

/**
 * One call of a function: a job, found again by its key whatever became of the request that made it.
 *
 *   made --spawned() | ended()--> sent --the server answers--> known, by its id
 *   sent | known --cancel()-->    cancelled
 */
export class RemoteCall {
  readonly #api: Api;
  readonly #app: string;
  readonly #function: string;
  readonly #request: Promise<SpawnRequest>;
  readonly #key: string;
  readonly #parentJob: string | null;
  readonly #cancelled = new AbortController();
  /** A request may have made the job. */
  #sent = false;
  #job: RemoteJob | null = null;

  constructor(p: {
    api: Api;
    app: string;
    function: string;
    request: Promise<SpawnRequest>;
    idempotencyKey: string | undefined;
    parentJob: string | null;
  }) {
    this.#api = p.api;
    this.#app = p.app;
    this.#function = p.function;
    this.#request = p.request;
    this.#request.catch(() => {});
    this.#key = p.idempotencyKey ?? orderedKey();
    this.#parentJob = p.parentJob;
  }

  async spawned(): Promise<RemoteJob> {
    this.#job = RemoteJob.of(this.#api, await this.#send(false));
    return this.#job;
  }

  /** As `spawned`, of a job whose chunks will be read as they come. */
  async streamed(): Promise<RemoteJob> {
    this.#job = RemoteJob.of(
      this.#api,
      await persist(async () => this.#api.call(await this.#callOf({ stream: true }), this.#parentJob)),
    );
    return this.#job;
  }

  /** The result. One exchange where the job ends soon: the answer to the enqueueing waits for it. A full queue is waited for where that is said. */
  async ended({ waitForRoom = false }: { waitForRoom?: boolean } = {}): Promise<unknown> {
    const json = waitForRoom ? await this.#sendUntilRoom() : await this.#send(true);
    this.#job = RemoteJob.of(this.#api, json);
    return isFinal(json.status) ? this.#job.resultOf(json) : this.#job.result();
  }

  /** Cancels the job, where there is one that has not ended. Never rejects. */
  async cancel(): Promise<void> {
    this.#cancelled.abort(new AthanorError("cancelled", "the call was cancelled before it was enqueued"));
    try {
      // Asked for by its key, the server answers with the job that the first request has made, or that it will now not make any more.
      if (this.#job === null && this.#sent) this.#job = RemoteJob.of(this.#api, await this.#send(false));
      await this.#job?.cancel();
    } catch {
      // It has ended, or the server is away: then nothing more can be done here.
    }
  }

  async #send(wait: boolean): Promise<JobJson> {
    const request = await this.#request;
    const parentJob = this.#parentJob;
    this.#sent = true;
    if (JSON.stringify(request).length > CLIENT_DEFAULTS.maxSharedCallBytes) {
      const options = { idempotencyKey: this.#key, parentJob, waitS: wait ? CLIENT_DEFAULTS.waitS : undefined };
      return persist(() => this.#api.spawn(this.#app, this.#function, request, options));
    }
    const call = await this.#callOf({ wait });
    return persist(() => this.#api.call(call, parentJob));
  }

  async #callOf(how: Pick<CallRequest, "wait" | "stream">): Promise<CallRequest> {
    const request = await this.#request;
    return { app: this.#app, function: this.#function, ...request, idempotency_key: this.#key, ...how };
  }

  async #sendUntilRoom(): Promise<JobJson> {
    const { signal } = this.#cancelled;
    await this.#request;
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      try {
        return await this.#send(true);
      } catch (error) {
        if (!(error instanceof AthanorError) || error.code !== "queue_full") throw error;
        this.#sent = false;
        await delay(roomDelayMs(tries), signal);
      }
    }
  }
}

/** Room comes as jobs start, at a rate that many callers share: each asks ever less often, and not all at a time. */
function roomDelayMs(tries: number): number {
  const longest = Math.min(CLIENT_DEFAULTS.fullQueueMaxMs, CLIENT_DEFAULTS.retryFirstMs * 2 ** tries);
  return longest * (0.5 + Math.random() / 2);
}

/** A random key that begins with the time, so that the keys of a time lie beside each other in the server's index. */
export function orderedKey(): string {
  return `${Date.now().toString(36)}-${crypto.randomUUID()}`;
}
