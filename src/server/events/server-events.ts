import { randomBytes } from "node:crypto";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import type { JobStatus } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { ServerEvent, ServerEventData, ServerEventType } from "../../protocol/server-event.ts";
import type { ReplicaStateChange } from "../scheduler/lifecycle.ts";
import type { StoreSignal } from "../store/store.ts";
import type { Watcher } from "./channel.ts";
import { ServerWatch, type ServerWatchParams } from "./server-watch.ts";

export interface ServerEventsParams {
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Default SERVER_DEFAULTS.serverEventsWindow. */
  window?: number;
  /** Default: a random one. */
  epoch?: string;
}

/**
 * What happens on the whole server, for dashboards: the newest events in memory, numbered within this start of the server (the epoch), with
 * watchers that are cursors into them. Adding one costs little where nobody watches. Of other servers on the same store it has the jobs.
 */
export class ServerEvents {
  readonly epoch: string;
  readonly #window: number;
  readonly #now: () => number;
  readonly #watchers = new Set<Watcher>();
  /** Numbered without a gap from `#first`. */
  #events: ServerEvent[] = [];
  #first = 1;
  #waking = false;

  constructor(p: ServerEventsParams = {}) {
    this.#now = p.now ?? Date.now;
    this.#window = Math.max(1, p.window ?? SERVER_DEFAULTS.serverEventsWindow);
    this.epoch = p.epoch ?? randomBytes(6).toString("hex");
  }

  /** The job was made, or has changed its status, at `statusSince`. */
  job(record: { job: number; app: string; function: string; status: JobStatus; statusSince: number }): void {
    const { app, status } = record;
    const at = new Date(record.statusSince).toISOString();
    this.#add("job", { job_id: formatId("jobs", record.job), app, function: record.function, status, at });
  }

  replica({ replicaId, app, deployment, state, reason }: ReplicaStateChange): void {
    const told = reason === null ? {} : { reason };
    const deploymentId = formatId("deployments", deployment);
    this.#add("replica", {
      replica_id: replicaId,
      app,
      deployment_id: deploymentId,
      status: state,
      ...told,
      at: this.#time(),
    });
  }

  /** `error`: why it failed. */
  deployment(
    { number, app }: { number: number; app: string },
    status: ServerEventData["deployment"]["status"],
    error?: { code: string; message: string },
  ): void {
    const told = error === undefined ? {} : { error: { code: error.code, message: error.message } };
    this.#add("deployment", { deployment_id: formatId("deployments", number), app, status, ...told, at: this.#time() });
  }

  /** What another server has done to the store. */
  signalled(signal: StoreSignal): void {
    if (signal.type === "job") this.job({ ...signal, statusSince: this.#now() });
  }

  /** `wake` is called when there may be something to take. Close it in the end. */
  watch(p: ServerWatchParams, wake: () => void): ServerWatch {
    const watch: ServerWatch = new ServerWatch(p, this, wake, () => this.#watchers.delete(watch));
    this.#watchers.add(watch);
    return watch;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Number of the oldest event that is kept, or of the next where there is none. */
  get earliest(): number {
    return this.#first;
  }

  /** Number of the newest event; 0: there was none. */
  get latest(): number {
    return this.#first + this.#events.length - 1;
  }

  at(number: number): ServerEvent | undefined {
    return this.#events[number - this.#first];
  }

  idOf(number: number): string {
    return `${this.epoch}-${number}`;
  }

  /** The number in an id of this epoch that may be gone on from; else null. */
  numberOf(id: string): number | null {
    const [epoch, text] = id.split("-");
    const number = Number(text);
    if (epoch !== this.epoch || !Number.isSafeInteger(number)) return null;
    return number >= this.#first - 1 && number <= this.latest ? number : null;
  }

  #add<T extends ServerEventType>(event: T, data: ServerEventData[T]): void {
    this.#events.push({ id: this.idOf(this.latest + 1), event, data } as ServerEvent);
    // In bulk, so that it costs no copying for each event.
    const surplus = this.#events.length - this.#window;
    if (surplus >= this.#window) {
      this.#events = this.#events.slice(surplus);
      this.#first += surplus;
    }
    if (this.#watchers.size > 0) this.#wakeSoon();
  }

  /** Once for all that happens in a turn. */
  #wakeSoon(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      for (const watcher of this.#watchers) watcher.wake();
    });
  }

  #time(): string {
    return new Date(this.#now()).toISOString();
  }
}
