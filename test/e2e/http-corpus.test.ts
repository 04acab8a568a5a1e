/** What is sent to the listener as bytes, and what it takes it for. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { ERRORS } from "../../src/protocol/errors.ts";
import { sendJson } from "../../src/server/http/answer.ts";
import { readBytes } from "../../src/server/http/body.ts";
import { Listener } from "../../src/server/http/listener.ts";
import { parseAnswers } from "../fuzz/exchange.ts";
import { bytesOf, CORPUS, type Expectation } from "./http-corpus.ts";

type Seen = Required<Extract<Expectation, { read: unknown }>["read"]>;

const seen: Seen[] = [];
const faults: string[] = [];
const fault = (fields: object, message: string): void => void faults.push(`${message} ${JSON.stringify(fields)}`);
const listener = new Listener({
  log: { debug: () => {}, info: () => {}, warn: fault, error: fault },
  handle: async (x) => {
    // In the order of the requests: one without a body is read at once.
    const request = { method: x.method, path: x.path, search: x.search, host: x.host, body: "" };
    seen.push(request);
    request.body = (await readBytes(x, 100_000)).toString("latin1").replaceAll("\r\n", "\n");
    sendJson(x, 200, {});
  },
});
let port: number;

before(async () => {
  port = await listener.listen({ host: "127.0.0.1", port: 0 });
});
after(() => listener.close({ graceMs: 0 }));

/** All that comes back once the sending half has ended. */
function exchange(bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.once("end", () => socket.end());
    socket.once("close", () => resolve(Buffer.concat(chunks)));
    socket.end(bytes);
  });
}

describe("requests as bytes", () => {
  for (const item of CORPUS) {
    test(item.name, async () => {
      seen.length = 0;
      const answers = parseAnswers(await exchange(bytesOf(item)));
      if ("refused" in item.expect) {
        const code = item.expect.refused as keyof typeof ERRORS;
        const last = answers.at(-1);
        assert.equal(last?.status, ERRORS[code].status, last?.body.toString());
        assert.equal((JSON.parse(last.body.toString()) as { code: string }).code, code);
        assert.equal(last.headers.get("content-type"), "application/problem+json");
        assert.equal(last.headers.get("connection"), "close");
        assert.equal(answers.length, 1, "nothing past it is answered");
        assert.ok(!seen.some(({ path }) => path === "/smuggled"), "nothing past it is heeded");
      } else {
        const { read, answers: count = 1 } = item.expect;
        assert.deepEqual(
          answers.map(({ status }) => status),
          Array.from({ length: count }, () => 200),
        );
        assert.equal(seen.length, count);
        const last = seen.at(-1) as Seen;
        const told = Object.fromEntries(Object.keys(read).map((name) => [name, last[name as keyof Seen]]));
        assert.deepEqual(told, read);
      }
      assert.deepEqual(faults, []);
    });
  }
});
