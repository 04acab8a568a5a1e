import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { POSTGRES_DEFAULTS } from "../../../protocol/defaults.ts";
import type { StoreSignal } from "../store.ts";
import type { Database } from "./database.ts";
import type { Link } from "./link.ts";
import type { PoolLog } from "./pool.ts";

/** PostgreSQL takes up to 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7900;
/** Beyond so many that could not be sent, the others are told to look at everything. */
const MAX_PENDING = 10_000;

/**
 * What servers of a store tell each other, over LISTEN and NOTIFY: gathered for some milliseconds and sent in few messages outside of the
 * transactions they are about, since the commits of transactions that notify wait for each other.
 *
 *   silent --subscribe--> connecting --LISTEN--> listening     then `missed` is told
 *   listening --connection lost--> connecting                  with growing pauses
 *   any --stop--> stopped
 *
 * A message can be lost: with the connection, or with a server that dies between its commit and its message. So where several servers have a
 * lease, `missed` is told every few seconds as well. Where this one is alone, it sends nothing.
 */
export class Signals {
  readonly #db: Database;
  readonly #channel: string;
  readonly #log: PoolLog;
  /** Of this store; so its own messages are known. */
  readonly #origin = randomUUID().slice(0, 8);
  readonly #listeners = new Set<(signal: StoreSignal) => void>();
  readonly #abort = new AbortController();
  #pending = new Set<string>();
  #sending: Promise<void> | null = null;
  #listening: Promise<void> | null = null;
  #poll: NodeJS.Timeout | null = null;
  #servers: number | null = null;

  constructor(p: { db: Database; schema: string; log: PoolLog }) {
    this.#db = p.db;
    this.#channel = `athanor_${p.schema}`.slice(0, 63);
    this.#log = p.log;
  }

  subscribe(listener: (signal: StoreSignal) => void): () => void {
    this.#listeners.add(listener);
    this.#listening ??= this.#listen();
    this.#poll ??= setInterval(() => {
      if (this.#servers !== 1) this.#deliver({ type: "missed" });
    }, POSTGRES_DEFAULTS.signalPollMs).unref();
    return () => this.#listeners.delete(listener);
  }

  /** Tells the others, unless there are none. */
  send(signals: StoreSignal[]): void {
    if (signals.length === 0 || this.#servers === 1 || this.#abort.signal.aborted) return;
    for (const signal of signals) this.#pending.add(JSON.stringify(signal));
    if (this.#pending.size > MAX_PENDING) this.#pending = new Set([JSON.stringify({ type: "missed" })]);
    this.#sending ??= this.#send();
  }

  /** How many servers have a lease, as of a beat. */
  serversAre(servers: number, p: { isNew: boolean }): void {
    const joined = servers > 1 && (this.#servers ?? 1) <= 1;
    this.#servers = servers;
    if (servers <= 1) return;
    // The others may have been silent until now, and so may this one.
    if (p.isNew || joined) this.send([{ type: "missed" }]);
    if (joined) this.#deliver({ type: "missed" });
  }

  /** Sends what waits, and listens no more. */
  async stop(): Promise<void> {
    await this.#sending;
    this.#abort.abort();
    if (this.#poll !== null) clearInterval(this.#poll);
    await this.#listening;
  }

  async #send(): Promise<void> {
    try {
      while (this.#pending.size > 0) {
        await sleep(POSTGRES_DEFAULTS.notifyMs);
        const batch = this.#pending;
        this.#pending = new Set();
        const payloads = toPayloads(this.#origin, [...batch]);
        await this.#db.write({ durable: false }, async (tx) => {
          await tx.read("notify", { channel: this.#channel, payloads });
          return () => {};
        });
      }
    } catch (error) {
      this.#log.warn(
        { error: String(error) },
        "Signals to other servers were lost; they look by themselves within seconds",
      );
    } finally {
      this.#sending = null;
    }
  }

  async #listen(): Promise<void> {
    const { signal } = this.#abort;
    let pauseMs: number = POSTGRES_DEFAULTS.reconnectFirstMs;
    while (!signal.aborted) {
      try {
        await using link = await this.#db.pool.dedicated();
        const stop = () => link.cut();
        signal.addEventListener("abort", stop, { once: true });
        link.onNotification((payload) => this.#receive(payload));
        await link.text(`LISTEN "${this.#channel}"`);
        this.#deliver({ type: "missed" });
        pauseMs = POSTGRES_DEFAULTS.reconnectFirstMs;
        await this.#untilClosed(link);
        signal.removeEventListener("abort", stop);
      } catch {
        // The pool says that the database is away.
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, POSTGRES_DEFAULTS.reconnectMaxMs);
    }
  }

  /** Asks something now and then: a connection that was cut without a word is silent for ever. */
  async #untilClosed(link: Link): Promise<void> {
    const ping = setInterval(() => {
      const watchdog = setTimeout(() => link.cut(), POSTGRES_DEFAULTS.signalPollMs);
      link
        .text("SELECT 1")
        .catch(() => {})
        .finally(() => clearTimeout(watchdog));
    }, POSTGRES_DEFAULTS.signalPollMs);
    try {
      await link.untilClosed();
    } finally {
      clearInterval(ping);
    }
  }

  #receive(payload: string): void {
    const [origin, signals] = JSON.parse(payload) as [string, StoreSignal[]];
    if (origin === this.#origin) return;
    // Someone is there, though the last beat knew of nobody.
    if (this.#servers === 1) this.#servers = 2;
    for (const signal of signals) this.#deliver(signal);
  }

  #deliver(signal: StoreSignal): void {
    for (const listener of this.#listeners) {
      try {
        listener(signal);
      } catch (error) {
        this.#log.warn({ error: String(error) }, "A listener for signals of the store threw");
      }
    }
  }
}

/** Signals that are JSON already, in as few messages as they fit into. */
function toPayloads(origin: string, signals: string[]): string[] {
  const payloads: string[] = [];
  const overhead = JSON.stringify([origin, []]).length;
  let part: string[] = [];
  let bytes = overhead;
  const close = () => {
    if (part.length > 0) payloads.push(`["${origin}",[${part.join(",")}]]`);
    part = [];
    bytes = overhead;
  };
  for (const signal of signals) {
    const size = Buffer.byteLength(signal) + 1;
    if (bytes + size > MAX_PAYLOAD_BYTES) close();
    part.push(signal);
    bytes += size;
  }
  close();
  return payloads;
}
