import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AnswerHead, InvalidAnswer } from "./answer-head.ts";
import { AnswerParser } from "./answer-parser.ts";

interface Read {
  information: number[];
  head: AnswerHead | null;
  body: string;
  done: boolean;
  trailers: [string, string][];
  switched: string | null;
  reusable: boolean;
}

/** What is read of bytes that come in these pieces, and then the end of the connection. */
function read(pieces: string[], p: { method?: string; maySwitch?: boolean } = {}): Read {
  const result: Read = {
    information: [],
    head: null,
    body: "",
    done: false,
    trailers: [],
    switched: null,
    reusable: false,
  };
  const parser = new AnswerParser(
    {
      information: (status) => result.information.push(status),
      head: (head) => {
        assert.equal(result.head, null);
        result.head = head;
      },
      body: (bytes, last) => {
        assert.equal(result.done, false);
        result.body += Buffer.concat(bytes).toString("latin1");
        result.done = last;
      },
      switched: (rest) => {
        result.switched = (result.switched ?? "") + rest.toString("latin1");
      },
    },
    { method: p.method ?? "GET", maySwitch: p.maySwitch ?? false },
  );
  for (const piece of pieces) parser.push(Buffer.from(piece, "latin1"));
  parser.closed();
  return { ...result, trailers: parser.trailers, reusable: parser.reusable };
}

const refused = (text: string, p: { method?: string } = {}): string => {
  try {
    read([text], p);
  } catch (error) {
    assert.ok(error instanceof InvalidAnswer, String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: `taken: ${JSON.stringify(text)}` });
};

const OK = "HTTP/1.1 200 OK\r\n";

test("an answer of a declared length", () => {
  const { head, body, done, reusable } = read([
    `${OK}Content-Length: 5\r\nSet-Cookie: a\r\nset-cookie:  b \t\r\n\r\nhello`,
  ]);
  assert.deepEqual([head?.status, body, done, reusable], [200, "hello", true, true]);
  assert.deepEqual(head?.headers, [
    ["content-length", "5"],
    ["set-cookie", "a"],
    ["set-cookie", "b"],
  ]);
});

test("chunks, their extensions, and trailers", () => {
  const text = `${OK}Transfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n5;a="b"\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n`;
  const { body, done, trailers, reusable } = read([text]);
  assert.deepEqual([body, done, trailers, reusable], ["hello!", true, [["x-sum", "6"]], true]);
});

test("a body that ends with the connection", () => {
  const open = read([`${OK}\r\nall there is`]);
  assert.deepEqual([open.body, open.done, open.reusable], ["all there is", true, false]);
  assert.equal(read(["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"]).reusable, false);
  assert.equal(read([`${OK}Content-Length: 2\r\nConnection: x, Close\r\n\r\nab`]).reusable, false);
});

test("what is cut off is not whole", () => {
  for (const text of [
    "",
    "HTTP/1.1 200 OK\r\nContent-Le",
    `${OK}Content-Length: 5\r\n\r\nhell`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n`,
  ])
    assert.equal(read([text]).done, false, JSON.stringify(text));
});

test("answers without a body", () => {
  for (const [text, method] of [
    [`${OK}Content-Length: 5\r\n\r\n`, "HEAD"],
    [`${OK}Transfer-Encoding: chunked\r\n\r\n`, "HEAD"],
    ["HTTP/1.1 204 No Content\r\n\r\n", "GET"],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET"],
    [`${OK}Content-Length: 0\r\n\r\n`, "GET"],
  ] as const) {
    const { body, done, reusable } = read([text], { method });
    assert.deepEqual([body, done, reusable], ["", true, true], text);
  }
  assert.equal(read(["HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"]).reusable, false);
});

test("bytes after an answer are nobody's, and end the connection", () => {
  for (const text of [`${OK}Content-Length: 2\r\n\r\nabc`, "HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"]) {
    const { done, reusable } = read([text]);
    assert.deepEqual([done, reusable], [true, false]);
  }
  assert.equal(read([`${OK}Content-Length: 2\r\n\r\nab`, "c"]).reusable, false);
});

test("heads that come before the answer's own, and a switch of protocols", () => {
  const hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  assert.deepEqual(read([`${hints}${OK}Content-Length: 0\r\n\r\n`]).information, [100, 103]);
  const text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x01a";
  assert.equal(read([text, "b"], { maySwitch: true }).switched, "\x81\x01ab");
  assert.match(refused(text), /switches protocols/);
});

test("what two readers could understand differently is refused", () => {
  const cases: [string, RegExp][] = [
    ["HTTP/2 200 OK\r\n\r\n", /status line/],
    ["HTTP/1.2 200 OK\r\n\r\n", /status line/],
    ["HTTP/1.1  200 OK\r\n\r\n", /status line/],
    ["HTTP/1.1 2000 OK\r\n\r\n", /status line/],
    ["HTTP/1.1 099 OK\r\n\r\n", /status line/],
    ["HTTP/1.1 600 OK\r\n\r\n", /status line/],
    ["HTTP/1.1 200 O\x01K\r\n\r\n", /status line/],
    ["http/1.1 200 OK\r\n\r\n", /status line/],
    ["SSH-2.0-OpenSSH_9.6\r\n", /status line/],
    ["HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n", /status line/],
    [`${OK}A: b\r\n c\r\n\r\n`, /no header/],
    [`${OK}A : b\r\n\r\n`, /no header/],
    [`${OK}: b\r\n\r\n`, /no header/],
    [`${OK}A\r\n\r\n`, /no header/],
    [`${OK}A\tB: c\r\n\r\n`, /no header/],
    [`${OK}A: b\nC: d\r\n\r\n`, /not allowed/],
    [`${OK}A: b\rC: d\r\n\r\n`, /not allowed/],
    [`${OK}A: b\0\r\n\r\n`, /not allowed/],
    [`${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, /two Content-Length/],
    [`${OK}Content-Length: 1, 1\r\n\r\na`, /Content-Length is/],
    [`${OK}Content-Length: +1\r\n\r\na`, /Content-Length is/],
    [`${OK}Content-Length: 0x1\r\n\r\na`, /Content-Length is/],
    [`${OK}Content-Length: \r\n\r\na`, /Content-Length is/],
    [`${OK}Content-Length: 9007199254740993\r\n\r\na`, /Content-Length is/],
    [`${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, /both/],
    [`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, /only chunked/],
    [`${OK}Transfer-Encoding: identity\r\n\r\n`, /only chunked/],
    [`${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, /only chunked/],
    ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", /HTTP\/1\.0/],
  ];
  const chunks: [string, RegExp][] = [
    ["5\nhello\r\n0\r\n\r\n", /size/],
    ["-1\r\n", /size/],
    ["0x5\r\nhello\r\n", /size/],
    [" 5\r\nhello\r\n", /size/],
    ["\r\nhello\r\n", /size/],
    ["fffffffffffffff\r\n", /size/],
    ["5;a\x01\r\nhello\r\n", /size/],
    ["5\r\nhelloX\r\n0\r\n\r\n", /does not end/],
    ["5\r\nhello\n0\r\n\r\n", /does not end/],
    [`5;${"a".repeat(5000)}`, /does not end/],
    ["0\r\nA : b\r\n\r\n", /no header/],
    [`0\r\n${"A: b\r\n".repeat(5000)}`, /trailers are over/],
  ];
  for (const [text, message] of [
    ...cases,
    ...chunks.map(([body, message]): [string, RegExp] => [`${OK}Transfer-Encoding: chunked\r\n\r\n${body}`, message]),
  ])
    assert.match(refused(text), message, JSON.stringify(text.slice(0, 80)));
});

test("heads have bounds", () => {
  assert.match(refused(`${OK}X: ${"a".repeat(70_000)}`), /over 65536 bytes/);
  assert.match(refused(`${OK}X: ${"a".repeat(70_000)}\r\n\r\n`), /over 65536 bytes/);
  assert.match(refused(`${OK}${"A: b\r\n".repeat(1001)}\r\n`), /over 1000 headers/);
  assert.match(refused("HTTP/1.1 102 Processing\r\n\r\n".repeat(40)), /over 32 heads/);
});

test("the pieces in which bytes come make no difference", () => {
  const texts = [
    `${OK}Content-Length: 11\r\nA: b\r\n\r\nhello\r\n\r\nab`,
    `HTTP/1.1 103 Early Hints\r\n\r\n${OK}Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n10\r\n${"0123456789abcdef"}\r\n0\r\nA: b\r\nC: d\r\n\r\n`,
    `${OK}\r\nuntil the end`,
    "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
  ];
  for (const text of texts) {
    const whole = read([text]);
    fc.assert(
      fc.property(fc.array(fc.nat({ max: text.length }), { maxLength: 12 }), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), text.length];
        assert.deepEqual(read(at.slice(1).map((end, i) => text.slice(at[i], end))), whole);
      }),
    );
    assert.deepEqual(read([...text]), whole);
  }
});
