import { setTimeout as sleep } from "node:timers/promises";
import { POSTGRES_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";
import { faultOf, unreachable } from "./faults.ts";
import { Link } from "./link.ts";
import type { Statement } from "./statements.ts";
import type { Target } from "./target.ts";

export interface PoolLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** What the database keeps of a connection that writes is deleted after some days. */
const MAX_AGE_MS = 24 * 60 * 60 * 1000;

interface Waiter {
  resolve(link: Link): void;
  reject(error: unknown): void;
  timer: NodeJS.Timeout;
}

/**
 * Up to `max` connections. Whoever finds none free waits for one, until a deadline.
 *
 *   connected --a connection cannot be made--> away      told once; one attempt at a time, with growing pauses
 *   away      --one is made-->                 connected
 *   any       --close-->                       closed    what waits is refused
 */
export class Pool {
  readonly target: Target;
  readonly #max: number;
  readonly #patienceMs: number;
  readonly #statements: Map<string, Statement>;
  readonly #log: PoolLog;
  readonly #idle: Link[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #abort = new AbortController();
  #open = 0;
  #away: { since: number; error: unknown } | null = null;

  constructor(p: {
    target: Target;
    max: number;
    patienceMs: number;
    statements: Map<string, Statement>;
    log: PoolLog;
  }) {
    this.target = p.target;
    this.#max = p.max;
    this.#patienceMs = p.patienceMs;
    this.#statements = p.statements;
    this.#log = p.log;
  }

  get closed(): boolean {
    return this.#abort.signal.aborted;
  }

  /** A connection of the caller's own until `release`. Rejects with `store_unreachable` where there is none by `deadline`, of performance.now(). */
  acquire(deadline: number): Promise<Link> {
    if (this.closed) return Promise.reject(closed());
    for (let link = this.#idle.pop(); link !== undefined; link = this.#idle.pop()) {
      if (!link.closed) return Promise.resolve(link);
      this.#open--;
    }
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const waiter: Waiter = {
        resolve,
        reject,
        timer: setTimeout(
          () => {
            this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
            const error = this.#away?.error ?? new Error("All connections of the pool stayed in use.");
            reject(unreachable(this.target.label, performance.now() - startedAt, error));
          },
          Math.max(0, deadline - startedAt),
        ),
      };
      this.#waiting.push(waiter);
      this.#grow();
    });
  }

  release(link: Link): void {
    if (link.closed || this.closed || performance.now() - link.openedAt > MAX_AGE_MS) {
      this.discard(link);
      return;
    }
    const waiter = this.#waiting.shift();
    if (waiter === undefined) {
      this.#idle.push(link);
      return;
    }
    clearTimeout(waiter.timer);
    waiter.resolve(link);
  }

  /** Gives up a connection that is in a state nobody knows. */
  discard(link: Link): void {
    link.close();
    this.#open--;
    if (this.#waiting.length > 0) this.#grow();
  }

  /** Does something on a connection before there are others, and waits for a database that is just starting. */
  async once(work: (link: Link) => Promise<void>): Promise<void> {
    const startedAt = performance.now();
    let pauseMs: number = POSTGRES_DEFAULTS.reconnectFirstMs;
    for (;;) {
      try {
        await using link = await this.dedicated();
        await work(link);
        this.#isBack();
        return;
      } catch (error) {
        if (faultOf(error) !== "lost") throw error;
        this.#isAway(error);
        const waitedMs = performance.now() - startedAt;
        if (waitedMs + pauseMs > this.#patienceMs) throw unreachable(this.target.label, waitedMs, error);
      }
      await sleep(pauseMs);
      pauseMs = this.#longerThan(pauseMs);
    }
  }

  /** A connection outside of the pool; closing it is up to the caller. */
  async dedicated(): Promise<Link> {
    return await Link.open(this.target, this.#statements);
  }

  close(): void {
    this.#abort.abort();
    for (const { timer, reject } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      reject(closed());
    }
    for (const link of this.#idle.splice(0)) this.discard(link);
  }

  #grow(): void {
    // While the database is away one attempt at a time tells as much as many.
    if (this.closed || this.#open >= this.#max || (this.#away !== null && this.#open > 0)) return;
    this.#open++;
    void this.#connect();
  }

  async #connect(): Promise<void> {
    let pauseMs: number = POSTGRES_DEFAULTS.reconnectFirstMs;
    while (!this.closed) {
      try {
        const link = await this.#openWriter();
        this.#isBack();
        this.release(link);
        for (let i = 0; i < this.#waiting.length; i++) this.#grow();
        return;
      } catch (error) {
        if (faultOf(error) === "other") return this.#refused(error);
        this.#isAway(error);
      }
      await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: this.#abort.signal }).catch(() => {});
      pauseMs = this.#longerThan(pauseMs);
      if (this.#waiting.length === 0) break;
    }
    this.#open--;
  }

  async #openWriter(): Promise<Link> {
    const link = await Link.open(this.target, this.#statements);
    try {
      await link.run("writerInsert", { writer: link.writer });
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  /** A wrong password or database is not mended by waiting. */
  #refused(error: unknown): void {
    this.#open--;
    for (const { timer, reject } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      reject(error);
    }
  }

  /** Such that who waits sees several attempts. */
  #longerThan(pauseMs: number): number {
    return Math.min(pauseMs * 2, POSTGRES_DEFAULTS.reconnectMaxMs, this.#patienceMs / 4);
  }

  #isAway(error: unknown): void {
    if (this.#away === null) {
      this.#away = { since: performance.now(), error };
      this.#log.warn({ database: this.target.label, error: String(error) }, "The database cannot be reached; waiting");
    } else this.#away.error = error;
  }

  #isBack(): void {
    if (this.#away === null) return;
    const awayMs = Math.round(performance.now() - this.#away.since);
    this.#away = null;
    this.#log.info({ database: this.target.label, away_ms: awayMs }, "The database is back");
  }
}

function closed(): AthanorError {
  return new AthanorError("shutting_down", "The store has been closed.");
}
