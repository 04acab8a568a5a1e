/**
 * Reads server-sent events through broken connections.
 *
 *   connecting --answered--> reading --connection broken, closed early, or silent--> waiting --delay--> connecting
 *   connecting --answered with 204: there is nothing more--> over
 *   connecting --no answer--> waiting; over with the error where the server was never reached, or for too long
 *   connecting --refused (4xx)--> over with the error
 *   any        --signal aborts--> over with its reason
 */
import { createParser } from "eventsource-parser";
import { CLIENT_DEFAULTS } from "../../protocol/defaults.ts";
import { Backoff, delay } from "./backoff.ts";
import { isPassing, unreachable } from "./request.ts";

export interface SseParams {
  /** Opens the stream, from wherever the reader is by now. */
  connect(signal: AbortSignal): Promise<Response>;
  url: string;
  signal?: AbortSignal | undefined;
  /** The server has answered before. */
  reached?: boolean | undefined;
}

/** `event` null: no event, the stream only says that the reader has come to `id`. */
export type SseMessage = { id: string; event: string; data: unknown } | { id: string; event: null };

export async function* messages(params: SseParams): AsyncGenerator<SseMessage, void, undefined> {
  const backoff = new Backoff();
  let reached = params.reached ?? false;
  for (;;) {
    params.signal?.throwIfAborted();
    const connection = new Connection(params);
    try {
      if (!(await connection.open())) return;
      reached = true;
      for await (const message of connection.messages()) {
        backoff.succeeded();
        yield message;
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

/** One connection; it ends with the reader's signal, or when nothing has come for too long. */
class Connection {
  failure: unknown = null;
  readonly #params: SseParams;
  readonly #controller = new AbortController();
  readonly #onAbort = () => this.#controller.abort(this.#params.signal?.reason);
  #silence: ReturnType<typeof setTimeout> | undefined;
  #response: Response | null = null;

  constructor(params: SseParams) {
    this.#params = params;
    params.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** False: there is nothing more to come. */
  async open(): Promise<boolean> {
    this.#heard();
    try {
      this.#response = await this.#params.connect(this.#controller.signal);
    } catch (error) {
      throw this.#meaning(error);
    }
    return this.#response.status !== 204;
  }

  /** Ends where the server closes the stream. */
  async *messages(): AsyncGenerator<SseMessage, void, undefined> {
    const arrived: SseMessage[] = [];
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        const parsed = parse(data);
        if (event !== undefined && id !== undefined && parsed !== undefined) arrived.push({ id, event, data: parsed });
      },
      // A heartbeat may say how far the stream has come, where it has passed over what was not asked for.
      onComment: (text) => {
        if (text !== "") arrived.push({ id: text, event: null });
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

/** Undefined for what is not JSON, as an event of a later version may be. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
