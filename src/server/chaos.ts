import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CHAOS_DEFAULTS } from "../protocol/defaults.ts";
import { formatId } from "../protocol/names.ts";
import type { Exchange } from "./http/exchange.ts";
import type { AttemptAnswer } from "./jobs/outcome.ts";
import type { ReplicaSession } from "./replicas/session.ts";
import type { JobRecord } from "./store/store.ts";

export interface ChaosOptions {
  seed: number;
  log: { warn(fields: object, message: string): void };
}

/**
 * Faults for user code, on purpose (`athanor up --chaos`): everything that at-least-once execution allows, often enough to be met in a minute, so
 * that handlers that are not idempotent show themselves. Each fault is logged. What strikes a job is drawn from the seed, the job's number
 * and its attempt, so that the same jobs in the same order meet the same faults again.
 *
 * A server without it has no instance of this, and asks for none of it but whether there is one.
 */
export class Chaos {
  readonly #seed: number;
  readonly #log: ChaosOptions["log"];
  #requests = 0;

  constructor({ seed, log }: ChaosOptions) {
    this.#seed = seed;
    this.#log = log;
  }

  /** One attempt, which may be lost before its code has run, or after, before its end is stored; or come late. */
  async attempt(record: JobRecord, run: () => Promise<AttemptAnswer>): Promise<AttemptAnswer> {
    const where = { job: formatId("jobs", record.job), attempt: record.attempt };
    const roll = (what: string): number => this.#roll(`${what} ${record.job} ${record.attempt}`);
    // A job meets so many losses and no more, so that it ends.
    const mayLose = record.lostCount < CHAOS_DEFAULTS.maxLosses;
    if (mayLose && roll("claim") < CHAOS_DEFAULTS.lostClaimShare) {
      this.#strike("lost claim", where, "an attempt is lost before its code has run");
      return { type: "notRun", why: "Chaos: the attempt was lost before its code had run." };
    }
    if (roll("delay") < CHAOS_DEFAULTS.delayShare) {
      const ms = Math.ceil(roll("delay by") * CHAOS_DEFAULTS.maxDelayMs);
      this.#strike("delay", { ...where, ms }, "an attempt starts late");
      await sleep(ms);
    }
    const answer = await run();
    if (answer.type !== "result" && answer.type !== "error") return answer;
    if (!mayLose || roll("end") >= CHAOS_DEFAULTS.lostEndShare) return answer;
    this.#strike("lost end", where, "an attempt has run, and is lost before its end is stored: its job runs again");
    return { type: "notRun", why: "Chaos: the attempt had run, and was lost before its end was stored." };
  }

  /** A replica that has begun its life; it may be killed in the midst of it. */
  replica(session: Pick<ReplicaSession, "id" | "ended" | "kill">): void {
    // The time to a death that may come at any moment alike.
    const lifeMs = -Math.log(1 - this.#roll(`life ${session.id}`)) * CHAOS_DEFAULTS.meanReplicaLifeMs;
    const timer = setTimeout(() => {
      this.#strike("killed replica", { replica: session.id }, "a replica is killed: what runs on it runs again");
      void session.kill();
    }, lifeMs);
    timer.unref();
    void session.ended.then(() => clearTimeout(timer));
  }

  /** A request whose connection may break before its answer is whole. Only such as a client can safely send again. */
  exchange(x: Pick<Exchange, "method" | "path" | "res">): void {
    if (x.method !== "GET") return;
    const request = ++this.#requests;
    if (this.#roll(`cut ${request}`) >= CHAOS_DEFAULTS.cutShare) return;
    const ms = Math.ceil(this.#roll(`cut after ${request}`) * CHAOS_DEFAULTS.maxCutAfterMs);
    const timer = setTimeout(() => {
      if (x.res.writableFinished || x.res.destroyed) return;
      this.#strike("cut connection", { path: x.path }, "a connection is cut before its answer is whole");
      x.res.destroy();
    }, ms);
    timer.unref();
    x.res.once("close", () => clearTimeout(timer));
  }

  #strike(chaos: string, fields: object, message: string): void {
    this.#log.warn({ chaos, ...fields }, `chaos: ${message}`);
  }

  /** From 0 up to 1, the same for the same text. */
  #roll(text: string): number {
    return createHash("sha256").update(`${this.#seed} ${text}`).digest().readUInt32BE() / 2 ** 32;
  }
}
