import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebhookBody } from "../../src/protocol/wire.ts";
import { verifyWebhook } from "../../src/sdk/client/webhook.ts";

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Somebody else's server, which webhooks are sent to: answers as it is told, and remembers all. */
export class Receiver implements AsyncDisposable {
  readonly url: string;
  readonly received: Received[] = [];
  readonly #close: () => Promise<void>;
  #onRequest = Promise.withResolvers<void>();

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  /** `answer` by default says 204. */
  static async start(
    answer: (received: Received, response: ServerResponse) => void = (_, response) => response.writeHead(204).end(),
  ): Promise<Receiver> {
    const server = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString();
      const received = { path: request.url ?? "", headers: request.headers, body };
      receiver.received.push(received);
      answer(received, response);
      receiver.#onRequest.resolve();
      receiver.#onRequest = Promise.withResolvers();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const receiver = new Receiver(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
    return receiver;
  }

  /** Those at the path, once there are so many. */
  async at(path: string, count = 1): Promise<Received[]> {
    for (;;) {
      const found = this.received.filter((each) => each.path === path);
      if (found.length >= count) return found;
      await this.#onRequest.promise;
    }
  }

  /** The one webhook at the path, verified. */
  async webhook(path: string, secret: string): Promise<WebhookBody> {
    const [received] = await this.at(path);
    if (received === undefined) throw new Error("at() resolves with as many as it is asked for");
    return verifyWebhook({ ...received, secret });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
