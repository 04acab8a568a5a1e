import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { CallAnswer, CallRequest, CallsRequest, JobJson } from "../../protocol/wire.ts";
import { Calls } from "./calls.ts";

interface Received {
  body: CallsRequest;
  headers: IncomingMessage["headers"];
  res: ServerResponse;
}

/** A server whose answers the test writes itself. */
class Server implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #server = createServer((req, res) => void this.#take(req, res));
  #waiting: (() => void)[] = [];

  async calls(node: boolean): Promise<Calls> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const { port } = this.#server.address() as AddressInfo;
    return new Calls({ url: `http://127.0.0.1:${port}`, token: "secret", fetch: globalThis.fetch, node });
  }

  async request(index: number): Promise<Received> {
    while (this.received.length <= index) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.received[index] as Received;
  }

  async #take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(req)).toString());
    this.received.push({ body, headers: req.headers, res });
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const call = (n: number): CallRequest => ({ app: "demo", function: "infer", args: [n], wait: true });
const line = (answer: CallAnswer): string => `${JSON.stringify(answer)}\n`;
const job = (id: number): JobJson => ({ job_id: `jobs:${id}`, result: "ä" }) as JobJson;
const argsOf = ({ body }: Received) => body.calls.map(({ args }) => args?.[0]);

for (const node of [true, false]) {
  describe(`calls by ${node ? "Node's own client" : "fetch"}`, () => {
    it("of one turn share a request, and each gets its own answer, in any order and cut anywhere", async () => {
      await using server = new Server();
      const calls = await server.calls(node);
      const all = Promise.all([calls.call(call(1)), calls.call(call(2)), calls.call(call(3))]);
      const first = await server.request(0);
      assert.deepEqual(argsOf(first), [1, 2, 3]);
      assert.equal(first.headers.authorization, "Bearer secret");
      assert.equal(first.headers.prefer, "wait=30");
      const bytes = Buffer.from(line({ call: 2, job: job(13) }) + line({ call: 0, job: job(11) }));
      first.res.write(bytes.subarray(0, 37));
      first.res.write(bytes.subarray(37));
      first.res.end(line({ call: 1, job: job(12) }));
      assert.deepEqual(await all, [job(11), job(12), job(13)]);
    });

    it("gather while a request is not accepted, and not while accepted ones wait for their jobs", async () => {
      await using server = new Server();
      const calls = await server.calls(node);
      const one = calls.call(call(1));
      const first = await server.request(0);
      const two = calls.call(call(2));
      await new Promise((resolve) => setImmediate(resolve));
      const three = calls.call(call(3));
      first.res.flushHeaders();
      const second = await server.request(1);
      assert.deepEqual(argsOf(second), [2, 3]);
      second.res.end(line({ call: 0, job: job(2) }) + line({ call: 1, job: job(3) }));
      assert.deepEqual(await Promise.all([two, three]), [job(2), job(3)]);
      first.res.end(line({ call: 0, job: job(1) }));
      assert.deepEqual(await one, job(1));
    });

    it("are refused one by one", async () => {
      await using server = new Server();
      const calls = await server.calls(node);
      const [good, bad] = [calls.call(call(1)), calls.call(call(2))];
      const { res } = await server.request(0);
      const problem = { type: "", title: "", status: 429, code: "queue_full", detail: "full", hint: "later" };
      res.end(line({ call: 1, problem }) + line({ call: 0, job: job(1) }));
      await assert.rejects(bad, { code: "queue_full", detail: "full" });
      assert.deepEqual(await good, job(1));
    });

    it("that have no answer when the connection breaks may be repeated", async () => {
      await using server = new Server();
      const calls = await server.calls(node);
      const [answered, lost] = [calls.call(call(1)), calls.call(call(2))];
      const { res } = await server.request(0);
      res.write(line({ call: 0, job: job(1) }));
      assert.deepEqual(await answered, job(1));
      res.destroy();
      await assert.rejects(lost, { code: "server_unreachable" });
      const again = calls.call(call(2));
      (await server.request(1)).res.end(line({ call: 0, job: job(2) }));
      assert.deepEqual(await again, job(2));
    });

    it("fail with what the server says of the whole request", async () => {
      await using server = new Server();
      const calls = await server.calls(node);
      const refused = calls.call(call(1));
      const { res } = await server.request(0);
      res.writeHead(503, { "content-type": "application/problem+json", "retry-after": "7" });
      res.end(
        JSON.stringify({ status: 503, code: "shutting_down", detail: "stopping", title: "", hint: "", type: "" }),
      );
      await assert.rejects(refused, { code: "shutting_down", headers: { "retry-after": "7" } });
    });
  });
}
