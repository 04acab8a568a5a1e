/**
 * Delivers webhooks: what says to somebody else's server that a job has ended.
 *
 *   waiting    --the next is due, a job with one has ended, a place is free--> claiming
 *   claiming   --taken: at most maxInFlight at a time, maxPerHost to a host--> delivering, each by itself
 *   delivering --2xx, 410, or the attempts are used up--> over in the store;  else due again later;  then: claiming
 *   any        --stop()--> stopped: what is under way has a moment to end, and is due again at once where it does not
 *
 * All servers of a store claim; a claim is a lease, and what a server that died had claimed is another's when it ends. So a delivery may
 * come twice, with the same id. A job never waits for its webhook.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { formatId } from "../../protocol/names.ts";
import { Alarm } from "../alarm.ts";
import type { Log } from "../log.ts";
import { Looking } from "../looking.ts";
import type { Resolve } from "../net/public-host.ts";
import type { JobRecord, Store, WebhookDelivery } from "../store/store.ts";
import { post } from "./post.ts";
import { signatureHeaders } from "./sign.ts";
import { type Verdict, verdictOfAnswer, verdictOfError } from "./verdict.ts";

/** The store is looked at so often in any case: a signal may have been missed, or the clock been set. */
const MAX_WAIT_MS = 30_000;
/** After a failure of the store. */
const RETRY_MS = 5000;
const STOP_GRACE_MS = 2000;

export interface WebhooksOptions {
  store: Pick<Store, "clock" | "webhookClaim" | "webhookFinish" | "webhookNext" | "subscribe">;
  log: Pick<Log, "info" | "warn" | "error">;
  resolve: Resolve;
  allowPrivate: boolean;
  userAgent: string;
  /** The same for each attempt, on each server of the store. */
  idOf(job: number): string;
  /** The same bytes in each attempt. */
  bodyOf(job: JobRecord): Promise<string>;
  /** Default WEBHOOK_DEFAULTS. */
  limits?: { maxInFlight?: number; maxPerHost?: number };
  attemptTimeoutMs?: number;
  random?(): number;
}

export class Webhooks {
  /** Attempts since the start, by how they went. */
  readonly counts = { delivered: 0, retried: 0, given_up: 0 };
  readonly #options: WebhooksOptions;
  readonly #maxInFlight: number;
  readonly #maxPerHost: number;
  readonly #attemptTimeoutMs: number;
  readonly #alarm: Alarm;
  readonly #stop = new AbortController();
  /** Deliveries under way, by host. */
  readonly #hosts = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #looking = new Looking(() => this.#look());
  #running = false;
  #unsubscribe = (): void => {};

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#maxInFlight = options.limits?.maxInFlight ?? WEBHOOK_DEFAULTS.maxInFlight;
    this.#maxPerHost = options.limits?.maxPerHost ?? WEBHOOK_DEFAULTS.maxPerHost;
    this.#attemptTimeoutMs = options.attemptTimeoutMs ?? WEBHOOK_DEFAULTS.attemptTimeoutMs;
    this.#alarm = new Alarm({ now: () => options.store.clock(), ring: () => this.wake() });
  }

  /** Takes up what is due, whoever left it. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#unsubscribe = this.#options.store.subscribe(({ type }) => {
      if (type === "webhooks" || type === "missed") this.wake();
    });
    this.wake();
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#unsubscribe();
    this.#alarm.clear();
    await this.#looking.over();
    const all = Promise.all(this.#underWay);
    const grace = new AbortController();
    await Promise.race([all, sleep(STOP_GRACE_MS, undefined, { signal: grace.signal }).catch(() => {})]);
    grace.abort();
    this.#stop.abort();
    await all;
  }

  /** One may be due. */
  wake(): void {
    if (this.#running) void this.#looking.now();
  }

  /** Takes what is due and there is room for, and sets the alarm for what comes next. */
  async #look(): Promise<void> {
    const { store, log } = this.#options;
    if (!this.#running) return;
    this.#alarm.clear();
    try {
      while (this.#running && this.#underWay.size < this.#maxInFlight) {
        const limit = this.#room();
        const taken = await store.webhookClaim({
          now: store.clock(),
          limit,
          leaseMs: WEBHOOK_DEFAULTS.leaseMs,
          exceptHosts: this.#fullHosts(),
        });
        for (const delivery of taken) this.#begin(delivery);
        if (taken.length < limit) break;
      }
      // Whatever ends looks again.
      if (!this.#running || this.#underWay.size >= this.#maxInFlight) return;
      const next = await store.webhookNext({ exceptHosts: this.#fullHosts() });
      const now = store.clock();
      if (this.#running) this.#alarm.at(Math.min(next ?? Number.POSITIVE_INFINITY, now + MAX_WAIT_MS));
    } catch (error) {
      log.error({ err: error }, "webhooks that are due could not be read; tried again");
      if (this.#running) this.#alarm.at(store.clock() + RETRY_MS);
    }
  }

  /** So many may be claimed at once: were they all to one host, it would have room for them. */
  #room(): number {
    const busiest = Math.max(0, ...[...this.#hosts.values()].filter((count) => count < this.#maxPerHost));
    return Math.min(this.#maxInFlight - this.#underWay.size, this.#maxPerHost - busiest);
  }

  #fullHosts(): string[] {
    return [...this.#hosts].filter(([, count]) => count >= this.#maxPerHost).map(([host]) => host);
  }

  #begin(delivery: WebhookDelivery): void {
    const { host } = new URL(delivery.url);
    this.#hosts.set(host, (this.#hosts.get(host) ?? 0) + 1);
    const over = this.#deliver(delivery, host).finally(() => {
      this.#underWay.delete(over);
      const left = (this.#hosts.get(host) ?? 1) - 1;
      if (left === 0) this.#hosts.delete(host);
      else this.#hosts.set(host, left);
      this.wake();
    });
    this.#underWay.add(over);
  }

  async #deliver(delivery: WebhookDelivery, host: string): Promise<void> {
    const { store, log } = this.#options;
    const { attempt } = delivery;
    const { job } = delivery.job;
    const verdict = await this.#attempt(delivery);
    const { error, retryAt } = verdict;
    this.#count(verdict);
    // Neither the URL's path, which may be secret, nor the secret.
    const fields = { job: formatId("jobs", job), host, attempt };
    if (error !== null && retryAt !== null) log.info({ ...fields, error }, "a webhook was not delivered; tried again");
    else if (error !== null) log.warn({ ...fields, error }, "a webhook was not delivered and is given up");
    try {
      await store.webhookFinish({ job, attempt, error, retryAt, now: store.clock() });
    } catch (failure) {
      log.error({ ...fields, err: failure }, "how a webhook went could not be stored; it will be delivered again");
    }
  }

  async #attempt(delivery: WebhookDelivery): Promise<Verdict> {
    const { store, log, resolve, allowPrivate, userAgent, idOf, bodyOf } = this.#options;
    const { attempt, secret } = delivery;
    const { random = Math.random } = this.#options;
    try {
      const body = await bodyOf(delivery.job).catch((error: unknown) => {
        log.error({ job: formatId("jobs", delivery.job.job), err: error }, "the body of a webhook could not be made");
        throw error;
      });
      const signed = signatureHeaders({ id: idOf(delivery.job.job), secret, body, now: store.clock() });
      const answer = await post({
        url: new URL(delivery.url),
        headers: { "content-type": "application/json", "user-agent": userAgent, ...signed },
        body,
        timeoutMs: this.#attemptTimeoutMs,
        resolve,
        allowPrivate,
        signal: this.#stop.signal,
      });
      return verdictOfAnswer(answer, { attempt, now: store.clock(), random: random() });
    } catch (reason) {
      const now = store.clock();
      const verdict = verdictOfError(reason, { attempt, now, random: random(), timeoutMs: this.#attemptTimeoutMs });
      return this.#stop.signal.aborted ? { ...verdict, retryAt: now } : verdict;
    }
  }

  #count({ error, retryAt }: Verdict): void {
    if (error === null) this.counts.delivered++;
    else if (retryAt === null) this.counts.given_up++;
    else this.counts.retried++;
  }
}
