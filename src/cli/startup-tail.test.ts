import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { newLines, startupLines } from "./startup-tail.ts";

describe("new lines of a tail", () => {
  it("are those after what the tail before had", () => {
    assert.deepEqual(newLines([], ["a", "b"]), ["a", "b"]);
    assert.deepEqual(newLines(["a", "b"], ["a", "b"]), []);
    assert.deepEqual(newLines(["a", "b"], ["a", "b", "c"]), ["c"]);
    assert.deepEqual(newLines(["a", "b"], ["b", "c", "d"]), ["c", "d"]);
    assert.deepEqual(newLines(["a", "a"], ["a", "a", "a"]), ["a"]);
    assert.deepEqual(newLines(["a"], ["x", "y"]), ["x", "y"]);
    assert.deepEqual(newLines(["a", "b"], []), []);
  });
});

describe("a service's own log of its start", () => {
  /** Answers one after the other, and the last again and again. */
  async function told(answers: { status: number; body: string }[]): Promise<string[]> {
    let asked = 0;
    const server = createServer((_, res) => {
      const { status, body } = answers[Math.min(asked++, answers.length - 1)] ?? { status: 500, body: "" };
      res.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`;
    const lines: string[] = [];
    for await (const line of startupLines({ url, headers: {}, pollMs: 1 })) lines.push(line);
    await new Promise((resolve) => server.close(resolve));
    return lines;
  }
  const json = (status: number, value: unknown) => ({ status, body: JSON.stringify(value) });

  it("is told line by line until it is ready, be it a list or a text", async () => {
    const lines = await told([
      json(503, { startup_log_tail: ["loading"] }),
      { status: 502, body: "<html>" },
      json(503, { startup_log_tail: "loading\nhalf way\n" }),
      json(200, { startup_log_tail: ["half way", "done"] }),
    ]);
    assert.deepEqual(lines, ["loading", "half way", "done"]);
  });

  it("goes on where it answers 200 and says that it is not ready", async () => {
    const lines = await told([
      json(200, { ready: false, startup_log_tail: ["a"] }),
      json(200, { status: "starting", startup_log_tail: ["a", "b"] }),
      json(200, ["no object"]),
    ]);
    assert.deepEqual(lines, ["a", "b"]);
  });
});
