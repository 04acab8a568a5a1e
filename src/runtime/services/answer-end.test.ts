import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerEnd } from "./answer-end.ts";

const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";
const HINT = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

/** Where the end is, or what it is, and after how many bytes that is known. */
function read(text: string, cuts: number[]): [found: number | "other" | "open", known: number] {
  const end = new AnswerEnd();
  const at = [...new Set(cuts.map((cut) => cut % text.length))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...at, text.length]) {
    const found = end.push(Buffer.from(text.slice(from, to), "latin1"));
    if (found !== "open") return [found === "other" ? found : from + found, to];
    from = to;
  }
  return ["open", from];
}

test("the end of a 101's head is found in whatever pieces it comes, heads before it and bytes behind it", () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.nat({ max: 2 }), fc.constantFrom("", "\x81\x01a"), (cuts, hints, rest) => {
      const head = HINT.repeat(hints) + SWITCHED;
      assert.equal(read(head + rest, cuts)[0], head.length);
    }),
  );
});

test("any other answer is known by its first bytes", () => {
  for (const text of [
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 403 No\r\n\r\n",
    "HTTP/2 101 x\r\n\r\n",
    "this is no HTTP\r\n\r\n",
  ])
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        assert.equal(read(text, cuts)[0], "other");
      }),
    );
  assert.equal(read(`HTTP/1.1 101 x\r\n${"a".repeat(70_000)}`, [])[0], "other");
});
