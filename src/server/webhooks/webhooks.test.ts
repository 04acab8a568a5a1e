import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { verifyWebhook } from "../../sdk/client/webhook.ts";
import type { JobRecord, StoreSignal, WebhookDelivery } from "../store/store.ts";
import { Webhooks, type WebhooksOptions } from "./webhooks.ts";

const SECRET = "a secret of a test";
const START = Date.parse("2026-11-24T12:00:00Z");

interface Due {
  job: number;
  url: string;
  attempts: number;
  /** Null: over. */
  nextAt: number | null;
  error: string | null;
}

/** Webhooks in memory, with a clock that the test sets. */
class FakeStore {
  now = START;
  readonly due: Due[] = [];
  readonly finished: { job: number; attempt: number; error: string | null; retryAt: number | null }[] = [];
  refuses: string | null = null;
  #onFinish = (): void => {};
  #listener: (signal: StoreSignal) => void = () => {};

  add(url: string, count = 1): void {
    for (let n = 0; n < count; n++)
      this.due.push({ job: this.due.length + 1, url, attempts: 0, nextAt: this.now, error: null });
  }

  tell(signal: StoreSignal): void {
    this.#listener(signal);
  }

  /** Once so many attempts are finished. */
  async finishes(count: number): Promise<void> {
    while (this.finished.length < count) await new Promise<void>((resolve) => (this.#onFinish = resolve));
  }

  clock = (): number => this.now;
  subscribe = (listener: (signal: StoreSignal) => void) => {
    this.#listener = listener;
    return () => {
      this.#listener = () => {};
    };
  };
  webhookClaim: WebhooksOptions["store"]["webhookClaim"] = async ({ now, limit, leaseMs, exceptHosts }) => {
    this.#maybeRefuse("claim");
    const taken = this.#waiting(exceptHosts).filter(({ nextAt }) => (nextAt ?? 0) <= now);
    return taken.slice(0, limit).map((each): WebhookDelivery => {
      each.attempts++;
      each.nextAt = now + leaseMs;
      return { job: { job: each.job } as JobRecord, url: each.url, secret: SECRET, attempt: each.attempts };
    });
  };
  webhookNext: WebhooksOptions["store"]["webhookNext"] = async ({ exceptHosts }) =>
    this.#waiting(exceptHosts)[0]?.nextAt ?? null;
  webhookFinish: WebhooksOptions["store"]["webhookFinish"] = async ({ job, attempt, error, retryAt }) => {
    const found = this.due.find((each) => each.job === job && each.attempts === attempt);
    this.finished.push({ job, attempt, error, retryAt });
    this.#onFinish();
    this.#maybeRefuse("finish");
    if (found) Object.assign(found, { nextAt: retryAt, error });
  };

  #waiting(exceptHosts: string[]): Due[] {
    return this.due
      .filter(({ url, nextAt }) => nextAt !== null && !exceptHosts.includes(new URL(url).host))
      .toSorted((a, b) => (a.nextAt ?? 0) - (b.nextAt ?? 0));
  }

  #maybeRefuse(verb: string): void {
    if (this.refuses !== verb) return;
    this.refuses = null;
    throw new Error("the store is away");
  }
}

let after = new AsyncDisposableStack();
let store = new FakeStore();
let lines: unknown[] = [];

/** What answers, and where it is. All names lead to it. */
async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer);
  after.defer(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function start(changes: Partial<WebhooksOptions> = {}): Webhooks {
  const log = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const webhooks = new Webhooks({
    store,
    log: { info: log, warn: log, error: log },
    resolve: async () => [{ address: "127.0.0.1", family: 4 }],
    allowPrivate: true,
    userAgent: "Athanor/test",
    idOf: (job) => `msg_${job}`,
    bodyOf: async ({ job }) => JSON.stringify({ type: "job.succeeded", n: job }),
    random: () => 0,
    ...changes,
  });
  after.defer(() => webhooks.stop());
  webhooks.start();
  return webhooks;
}

beforeEach(() => {
  store = new FakeStore();
  lines = [];
});
afterEach(async () => {
  await after.disposeAsync();
  after = new AsyncDisposableStack();
});

describe("Webhooks", () => {
  it("POSTs what is due, signed so that the secret's holder can tell, and says that it is over", async () => {
    const received = Promise.withResolvers<{ headers: IncomingMessage["headers"]; body: string }>();
    const port = await receiver(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString();
      response.writeHead(204).end();
      received.resolve({ headers: request.headers, body });
    });
    store.add(`http://a.example:${port}/hook?token=t0ps3cret`);
    const webhooks = start();
    const { headers, body } = await received.promise;
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["user-agent"], "Athanor/test");
    assert.equal(headers["webhook-id"], "msg_1");
    assert.deepEqual(await verifyWebhook({ body, headers, secret: SECRET, now: START }), {
      type: "job.succeeded",
      n: 1,
    });
    await store.finishes(1);
    assert.deepEqual(store.finished, [{ job: 1, attempt: 1, error: null, retryAt: null }]);
    assert.deepEqual(webhooks.counts, { delivered: 1, retried: 0, given_up: 0 });
    assert.doesNotMatch(JSON.stringify(lines), /secret|t0ps3cret|hook\?/);
  });

  it("tries again when it is due, with the same id and body, until it is delivered", async () => {
    const statuses = [500, 503, 200];
    const seen: (string | undefined)[] = [];
    const port = await receiver(async (request, response) => {
      seen.push(
        `${request.headers["webhook-id"]} ${request.headers["webhook-timestamp"]} ${Buffer.concat(await request.toArray())}`,
      );
      response.writeHead(statuses.shift() ?? 599, { "retry-after": "60" }).end();
    });
    store.add(`http://a.example:${port}/`);
    const webhooks = start();
    await store.finishes(1);
    store.now += 59_999;
    webhooks.wake();
    await webhooks.stop();
    assert.equal(seen.length, 1, "it is not due yet");

    const again = start();
    store.now += 1;
    again.wake();
    await store.finishes(2);
    store.now += 60_000;
    store.tell({ type: "webhooks" });
    await store.finishes(3);
    assert.deepEqual(
      store.finished.map(({ error }) => error),
      ["HTTP 500", "HTTP 503", null],
    );
    const at = START / 1000;
    const body = '{"type":"job.succeeded","n":1}';
    assert.deepEqual(seen, [`msg_1 ${at} ${body}`, `msg_1 ${at + 60} ${body}`, `msg_1 ${at + 120} ${body}`]);
    assert.deepEqual(again.counts, { delivered: 1, retried: 1, given_up: 0 });
  });

  it("looks by itself when the next is due", async () => {
    const port = await receiver((_, response) => response.end());
    store.add(`http://a.example:${port}/`);
    (store.due[0] as Due).nextAt = START + 5;
    store.clock = () => START + performance.now() - startedAt;
    const startedAt = performance.now();
    start();
    await store.finishes(1);
    assert.equal(store.finished[0]?.error, null);
  });

  it("gives up what leads to no public address, after one attempt that connects to nobody", async () => {
    let requests = 0;
    const port = await receiver((_, response) => {
      requests++;
      response.end();
    });
    store.add(`http://a.example:${port}/`);
    const webhooks = start({ allowPrivate: false });
    await store.finishes(1);
    assert.deepEqual(store.finished, [
      {
        job: 1,
        attempt: 1,
        error: "a.example leads to a loopback address; the server delivers to public ones alone",
        retryAt: null,
      },
    ]);
    assert.equal(requests, 0);
    assert.deepEqual(webhooks.counts, { delivered: 0, retried: 0, given_up: 1 });
  });

  it("has so many under way, so many to one host, and lets a host that hangs hold up no other", async () => {
    const held: ServerResponse[] = [];
    let most = 0;
    const full = Promise.withResolvers<void>();
    const slow = await receiver((_, response) => {
      held.push(response);
      most = Math.max(most, held.length);
      if (held.length === 2) full.resolve();
    });
    const quick = await receiver((_, response) => response.end());
    store.add(`http://slow.example:${slow}/`, 6);
    store.add(`http://quick.example:${quick}/`, 20);
    start({ limits: { maxInFlight: 4, maxPerHost: 2 } });
    await Promise.all([full.promise, store.finishes(20)]);
    assert.ok(store.finished.every(({ job }) => job > 6));
    assert.deepEqual(
      store.due.map(({ attempts }) => attempts),
      [1, 1, 0, 0, 0, 0, ...Array<number>(20).fill(1)],
      "those that the slow host has no room for are not even claimed",
    );
    for (let finished = 21; finished <= 26; finished++) {
      while (held.length === 0) await new Promise(setImmediate);
      held.shift()?.end();
      await store.finishes(finished);
    }
    assert.equal(most, 2);
    assert.ok(store.finished.every(({ error }) => error === null));
  });

  it("never has more under way than it may, to however many hosts", async () => {
    const held: ServerResponse[] = [];
    const full = Promise.withResolvers<void>();
    const port = await receiver((_, response) => {
      held.push(response);
      if (held.length === 5) full.resolve();
    });
    for (let host = 0; host < 12; host++) store.add(`http://h${host}.example:${port}/`, 2);
    const webhooks = start({ limits: { maxInFlight: 5, maxPerHost: 2 } });
    await full.promise;
    webhooks.wake();
    await new Promise(setImmediate);
    assert.equal(store.due.filter(({ attempts }) => attempts > 0).length, 5);
    let ended = 0;
    while (ended < 24) {
      assert.ok(held.length <= 5);
      const response = held.shift();
      if (response) {
        response.end();
        await store.finishes(++ended);
      } else await new Promise(setImmediate);
    }
  });

  it("gives what is under way a moment when it stops, and makes it due again at once where that is not enough", async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    const port = await receiver((request, response) => {
      if (request.url === "/ends") arrived.resolve(response);
    });
    store.add(`http://a.example:${port}/ends`);
    store.add(`http://a.example:${port}/hangs`);
    const webhooks = start();
    const ends = await arrived.promise;
    const stopped = webhooks.stop();
    ends.end();
    await stopped;
    assert.deepEqual(
      store.finished.toSorted((a, b) => a.job - b.job),
      [
        { job: 1, attempt: 1, error: null, retryAt: null },
        { job: 2, attempt: 1, error: "the server stopped during the attempt", retryAt: START },
      ],
    );
    store.add(`http://a.example:${port}/ends`);
    webhooks.wake();
    await new Promise(setImmediate);
    assert.equal(store.due[2]?.attempts, 0, "a stopped one takes nothing");
  });

  it("goes on where the store could not be told, or where a body could not be made", async () => {
    const port = await receiver((_, response) => response.end());
    store.refuses = "finish";
    store.add(`http://a.example:${port}/`);
    const webhooks = start({
      bodyOf: async ({ job }) => (job === 2 ? Promise.reject(new Error("its result is gone")) : "{}"),
    });
    await store.finishes(1);
    assert.equal(store.due[0]?.nextAt, START + 20_000, "it is due again when the lease is over");
    store.add(`http://a.example:${port}/`);
    store.now += 20_000;
    webhooks.wake();
    await store.finishes(3);
    assert.equal(store.due[0]?.nextAt, null);
    assert.deepEqual(store.due[1]?.error, "the attempt failed");
    assert.equal(store.due[1]?.nextAt, store.now + 5000);
    const messages = lines.map((line) => (line as { message: string }).message);
    assert.ok(messages.includes("how a webhook went could not be stored; it will be delivered again"));
    assert.ok(messages.includes("the body of a webhook could not be made"));
  });
});
