/**
 * Reads a job's event stream through broken connections, each event once and in order.
 *
 *   connecting --answered--> reading --job.end--> over
 *   reading    --connection broken, closed early, or silent--> waiting --delay--> connecting, from the last event read
 *   connecting --no answer--> waiting; over with the error where the server was never reached, or for too long
 *   connecting --refused (4xx)--> over with the error
 *   any        --signal aborts--> over with its reason
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import type { WatchEvent } from "../../protocol/event.ts";
import { Backoff, delay } from "./backoff.ts";
import { isPassing, unreachable } from "./request.ts";

export interface EventSourceParams {
  /** Opens the stream. `after` is null where no cursor is to be sent. */
  connect(p: { after: number | null; snapshot: boolean; signal: AbortSignal }): Promise<Response>;
  url: string;
  after?: number | undefined;
  snapshot?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** The server has answered before. */
  reached?: boolean | undefined;
}

export async function* eventStream(params: EventSourceParams): AsyncGenerator<WatchEvent, void, undefined> {
  const backoff = new Backoff();
  let cursor = params.after ?? null;
  let snapshotDue = params.snapshot ?? false;
  let reached = params.reached ?? false;
  for (;;) {
    params.signal?.throwIfAborted();
    const connection = new Connection(params);
    try {
      await connection.open(cursor, snapshotDue);
      reached = true;
      for await (const event of connection.events()) {
        backoff.succeeded();
        if (!isNew(event, cursor)) continue;
        cursor = cursorAfter(event, cursor);
        if (event.event === "job.snapshot") snapshotDue = false;
        yield event;
        if (event.event === "job.end") return;
      }
    } catch (error) {
      if (params.signal?.aborted || !isPassing(error) || !reached) throw error;
      connection.failure = error;
    } finally {
      connection.close();
    }
    const waitMs = backoff.failed(Date.now());
    if (waitMs === null)
      throw connection.failure ?? unreachable(params.url, new Error("the event stream ends again and again"));
    await delay(waitMs, params.signal);
  }
}

function isNew(event: WatchEvent, cursor: number | null): boolean {
  if (event.event === "job.snapshot" || event.event === "stream.reset") return true;
  return cursor === null || event.id > cursor;
}

/** A snapshot is where a watcher without a cursor begins; one that has a cursor still gets the events since. */
function cursorAfter(event: WatchEvent, cursor: number | null): number {
  return event.event === "job.snapshot" && cursor !== null ? cursor : event.id;
}

/** One connection; it ends with the watcher's signal, or when nothing has come for too long. */
class Connection {
  failure: unknown = null;
  readonly #params: EventSourceParams;
  readonly #controller = new AbortController();
  readonly #onAbort = () => this.#controller.abort(this.#params.signal?.reason);
  #silence: ReturnType<typeof setTimeout> | undefined;
  #response: Response | null = null;

  constructor(params: EventSourceParams) {
    this.#params = params;
    params.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  async open(after: number | null, snapshot: boolean): Promise<void> {
    this.#heard();
    try {
      this.#response = await this.#params.connect({ after, snapshot, signal: this.#controller.signal });
    } catch (error) {
      throw this.#meaning(error);
    }
  }

  /** Ends where the server closes the stream. */
  async *events(): AsyncGenerator<WatchEvent, void, undefined> {
    const arrived: WatchEvent[] = [];
    const parser = createParser({
      onEvent: (message) => {
        const event = toEvent(message);
        if (event) arrived.push(event);
      },
    });
    const reader = this.#response?.body?.getReader();
    const decoder = new TextDecoder();
    while (reader) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw this.#meaning(error);
      });
      if (done) return;
      this.#heard();
      parser.feed(decoder.decode(value, { stream: true }));
      yield* arrived.splice(0);
    }
  }

  close(): void {
    clearTimeout(this.#silence);
    this.#params.signal?.removeEventListener("abort", this.#onAbort);
    this.#controller.abort();
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(
      () => this.#controller.abort(new Error("the event stream fell silent")),
      CLIENT_DEFAULTS.streamSilenceMs,
    );
    (this.#silence as { unref?(): void }).unref?.();
  }

  /** A broken or silent connection is an unreachable server; the caller's own abort is not. */
  #meaning(error: unknown): unknown {
    if (this.#params.signal?.aborted) return this.#params.signal.reason;
    if (error instanceof Error && "code" in error && error.name === "AthanorError") return error;
    return unreachable(this.#params.url, error);
  }
}

/** Null for what is no event of a job, such as one of a later version with data that is not JSON. */
function toEvent(message: EventSourceMessage): WatchEvent | null {
  const id = Number(message.id);
  if (message.event === undefined || !Number.isSafeInteger(id)) return null;
  try {
    return { id, event: message.event, data: JSON.parse(message.data) } as WatchEvent;
  } catch {
    return null;
  }
}
