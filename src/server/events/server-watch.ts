import type { ServerEvent, ServerEventType, ServerSnapshot, ServerWatchEvent } from "../../protocol/server-event.ts";
import type { Watcher } from "./channel.ts";

export interface ServerWatchParams {
  /** The last id that the watcher has; null: it begins with a snapshot. */
  after: string | null;
  /** Null: all types. */
  only: ReadonlySet<ServerEventType> | null;
  /** Null: of all apps. */
  app: string | null;
  snapshot(app: string | null): Promise<ServerSnapshot>;
}

/** The part of ServerEvents that a watcher reads. */
export interface ServerEventSource {
  readonly earliest: number;
  readonly latest: number;
  at(number: number): ServerEvent | undefined;
  idOf(number: number): string;
  numberOf(id: string): number | null;
}

/**
 * One watcher's way through the server's events; as a JobWatch it holds no queue.
 *
 *   snapshot, after a reset where it had a cursor that does not hold --> live --its cursor fell behind what is kept--> snapshot, after a reset
 *   any --close(), or the snapshot fails--> over
 */
export class ServerWatch implements Watcher {
  error: unknown = null;
  over = false;
  loading = false;
  readonly wake: () => void;
  readonly #p: ServerWatchParams;
  readonly #source: ServerEventSource;
  readonly #leave: () => void;
  /** Number of the last event that was taken or passed over; null: a snapshot is due. */
  #cursor: number | null;
  /** What the cursor was when it was found not to hold. */
  #requested: string | null = null;
  #ready: ServerWatchEvent[] = [];

  constructor(p: ServerWatchParams, source: ServerEventSource, wake: () => void, leave: () => void) {
    this.#p = p;
    this.#source = source;
    this.wake = wake;
    this.#leave = leave;
    this.#cursor = p.after === null ? null : source.numberOf(p.after);
    if (this.#cursor === null) this.#requested = p.after;
  }

  /** Where a watcher that has taken everything so far would go on. */
  get cursor(): string | null {
    return this.#cursor === null ? null : this.#source.idOf(this.#cursor);
  }

  take(): ServerWatchEvent | null {
    if (this.over || this.loading) return null;
    const ready = this.#ready.shift();
    if (ready !== undefined) return ready;
    if (this.#cursor !== null && this.#cursor < this.#source.earliest - 1) {
      this.#requested = this.#source.idOf(this.#cursor);
      this.#cursor = null;
    }
    if (this.#cursor === null) this.#load();
    else return this.#fromSource(this.#cursor);
    return null;
  }

  close(): void {
    if (this.over) return;
    this.over = true;
    this.#ready = [];
    this.#leave();
  }

  #fromSource(from: number): ServerEvent | null {
    for (let number = from + 1; number <= this.#source.latest; number++) {
      this.#cursor = number;
      const event = this.#source.at(number);
      if (event !== undefined && this.#passes(event)) return event;
    }
    return null;
  }

  #passes({ event, data }: ServerEvent): boolean {
    const { only, app } = this.#p;
    return (only === null || only.has(event)) && (app === null || data.app === app);
  }

  #load(): void {
    this.loading = true;
    // Noted before the snapshot is taken: what happens meanwhile is told again rather than missed.
    const number = this.#source.latest;
    this.#p
      .snapshot(this.#p.app)
      .then((data) => {
        const id = this.#source.idOf(number);
        this.#ready = [...this.#resets(id), { id, event: "server.snapshot", data }];
        this.#cursor = number;
      })
      .catch((error: unknown) => {
        this.error = error;
        this.close();
      })
      .finally(() => {
        this.loading = false;
        this.wake();
      });
  }

  #resets(id: string): ServerWatchEvent[] {
    const requested = this.#requested;
    this.#requested = null;
    if (requested === null) return [];
    const { earliest, latest } = this.#source;
    const data = { requested, earliest: this.#source.idOf(earliest), latest: this.#source.idOf(latest) };
    return [{ id, event: "stream.reset", data }];
  }
}
