import fc from "fast-check";

/** Where the fuzz aims, and with what it is let in. */
export interface Target {
  token: string;
  /** `jobs:1`, which has ended. */
  job: string;
  /** JSON of a good upload, to be damaged. */
  upload: string;
}

type Input = fc.Arbitrary<Uint8Array>;

const CRLF = "\r\n";

/** Text that breaks parsers: nothing, much, the characters that mean something somewhere, and those that nobody expects. */
const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    "",
    "null",
    "[]",
    "{}",
    "-0",
    "1e999",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "%00",
    "%",
    "\0",
    "\ud800",
    "𝒳",
    "a".repeat(5000),
    "[".repeat(3000),
    '{"a":'.repeat(500),
  ),
  fc.json(),
);

/** Header values: what may stand in a header, mostly. */
const headerValue = fc.oneof(
  fc.string({ unit: fc.constantFrom(..."abz019 ,;=\"'\\/*()[]{}<>@:?!%-_.\t\x80\xff"), maxLength: 60 }),
  fc.constantFrom(
    "",
    "*/*",
    "chunked",
    "gzip",
    "bytes=0-",
    "bytes=9-1",
    'W/"x"',
    "wait=1",
    "respond-async",
    "Bearer",
    "a".repeat(9000),
  ),
);

const head = (method: string, path: string, headers: [string, string][]): string =>
  [`${method} ${path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""].join(CRLF);

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

function request(method: string, path: string, headers: [string, string][], body: Uint8Array): Uint8Array {
  const all: [string, string][] = [
    ["Host", "fuzz"],
    ["Connection", "close"],
    ["Content-Length", String(body.length)],
    ...headers,
  ];
  return Buffer.concat([latin1(head(method, path, all)), body]);
}

/** Good text with bytes changed, cut or doubled. */
function damaged(text: string): fc.Arbitrary<Uint8Array> {
  const bytes = Buffer.from(text);
  const damage = fc.record({
    at: fc.nat(Math.max(0, bytes.length - 1)),
    with: fc.uint8Array({ maxLength: 4 }),
    cut: fc.nat(20),
  });
  return fc
    .array(damage, { minLength: 1, maxLength: 3 })
    .map((damages) =>
      damages.reduce<Buffer>(
        (result, { at, with: inserted, cut }) =>
          Buffer.concat([result.subarray(0, at), inserted, result.subarray(at + cut)]),
        bytes,
      ),
    );
}

const jsonBody = fc.oneof(
  fc.json().map((text) => Buffer.from(text)),
  fc
    .dictionary(
      fc.oneof(
        fc.constantFrom("text", "count", "tags", "page", "hold", "args", "kwargs", "$media", "__proto__"),
        nasty,
      ),
      fc.jsonValue(),
    )
    .map((value) => Buffer.from(JSON.stringify(value))),
  fc
    .record(
      { text: nasty, count: fc.oneof(fc.double(), nasty), tags: fc.array(nasty, { maxLength: 5 }) },
      { requiredKeys: [] },
    )
    .map((value) => Buffer.from(JSON.stringify(value))),
  nasty.map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 200 }),
  damaged('{"text":"a","count":1,"tags":["x","y"]}'),
);

export function inputsFor(target: Target): { [kind: string]: Input } {
  const authorized: [string, string] = ["Authorization", `Bearer ${target.token}`];
  const type = fc.constantFrom(
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/problem+json",
    "",
  );
  const jsonTargets = fc.constantFrom(
    "/web/echo",
    "/web/work",
    "/web/size",
    "/web/raw",
    "/web/picture",
    "/v1/apps/web/functions/infer/jobs",
    "/v1/deployments",
  );

  const json = fc
    .tuple(jsonTargets, type, jsonBody)
    .map(([path, contentType, body]) => request("POST", path, [authorized, ["Content-Type", contentType]], body));

  const uploads = damaged(target.upload).map((body) =>
    request("POST", "/v1/deployments", [authorized, ["Content-Type", "application/json"]], body),
  );

  const part = fc.record({
    name: fc.oneof(fc.constantFrom("page", "text", "note", "tags", "count", "a[b]", "a.b"), nasty),
    file: fc.option(nasty),
    type: fc.option(fc.oneof(fc.constantFrom("image/png", "text/plain; charset=x", "multipart/mixed"), headerValue)),
    body: fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.constant(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"))),
  });
  const multipart = fc
    .tuple(
      fc.constantFrom("/web/size", "/web/echo", "/web/picture", "/web/work"),
      fc.array(part, { maxLength: 6 }),
      fc.oneof(fc.constant("fuzz"), fc.constantFrom("", "--", "fu zz", "x".repeat(100))),
      fc.boolean(),
      fc.nat(30),
    )
    .map(([path, parts, boundary, closed, cut]) => {
      const rows = parts.flatMap(({ name, file, type: partType, body }) => [
        latin1(
          `--fuzz${CRLF}Content-Disposition: form-data; name="${name}"${file === null ? "" : `; filename="${file}"`}${CRLF}${partType === null ? "" : `Content-Type: ${partType}${CRLF}`}${CRLF}`,
        ),
        body,
        latin1(CRLF),
      ]);
      const body = Buffer.concat([...rows, latin1(closed ? `--fuzz--${CRLF}` : "")]);
      return request(
        "POST",
        path,
        [["Content-Type", `multipart/form-data; boundary=${boundary}`]],
        body.subarray(0, Math.max(0, body.length - (closed ? 0 : cut))),
      );
    });

  const knownHeader = fc.constantFrom(
    "Accept",
    "Prefer",
    "Idempotency-Key",
    "Authorization",
    "Range",
    "If-None-Match",
    "Last-Event-ID",
    "Origin",
    "X-Request-Id",
    "X-Forwarded-For",
    "Cookie",
    "Expect",
    "TE",
    "Upgrade",
    "Content-Encoding",
    "Content-Type",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
    "Forwarded",
  );
  const header = fc.tuple(fc.oneof(knownHeader, fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)), headerValue);
  const headers = fc
    .tuple(
      fc.constantFrom("GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT"),
      fc.constantFrom(
        "/web/hello?name=x",
        "/web/echo",
        "/web/shared",
        "/web/locked",
        "/web/work",
        "/v1/jobs",
        `/v1/jobs/${target.job}`,
        "/web/openapi.json",
        "/healthz",
      ),
      fc.array(header, { maxLength: 8 }),
      jsonBody,
    )
    .map(([method, path, list, body]) =>
      request(method, path, list as [string, string][], method === "GET" || method === "HEAD" ? Buffer.alloc(0) : body),
    );

  const cursor = fc.oneof(
    fc.integer().map(String),
    fc.double().map(String),
    fc.bigInt().map(String),
    nasty,
    fc.constantFrom("", "0", "1", "9007199254740993", "-1", "1e3", " 1", "0x1"),
  );
  const cursors = fc
    .tuple(
      cursor,
      fc.option(headerValue),
      fc.constantFrom("", "&snapshot=true", "&snapshot=", "&snapshot=x", "&after=1", "&key=x"),
      fc.oneof(
        fc.constant(target.job),
        fc.nat(2000).map((n) => `jobs:${n + 1000}`),
        nasty,
      ),
    )
    .map(([after, last, more, job]) => {
      const list: [string, string][] = [
        authorized,
        ...(last === null ? [] : ([["Last-Event-ID", last]] as [string, string][])),
      ];
      return request(
        "GET",
        `/v1/jobs/${encodeURIComponent(job.toWellFormed())}/events?after=${encodeURIComponent(after.toWellFormed())}${more}`,
        list,
        Buffer.alloc(0),
      );
    });

  const pair = fc.tuple(
    fc.oneof(
      fc.constantFrom("name", "times", "limit", "cursor", "status", "app", "function", "wait", "key", "follow", "to"),
      nasty,
    ),
    nasty,
  );
  const queries = fc
    .tuple(
      fc.constantFrom(
        "/web/hello",
        "/web/count",
        "/v1/jobs",
        "/v1/deployments",
        "/v1/deployments/1/logs",
        `/v1/jobs/${target.job}/result`,
        `/v1/jobs/${target.job}/files/x`,
      ),
      fc.array(pair, { maxLength: 4 }),
    )
    .map(([path, pairs]) => {
      const query = pairs
        .filter(([name]) => path !== "/web/count" || name !== "to")
        .map(
          ([name, value]) => `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`,
        );
      // A log that is followed has no end.
      return request(
        "GET",
        `${path}?${query
          .filter((text) => !text.startsWith("follow"))
          .join("&")
          .slice(0, 8000)}`,
        [authorized],
        Buffer.alloc(0),
      );
    });

  const good = `${head("POST", "/web/echo", [
    ["Host", "fuzz"],
    ["Connection", "close"],
    ["Content-Type", "application/json"],
    ["Transfer-Encoding", "chunked"],
  ])}c${CRLF}{"text":"abc"${CRLF}1${CRLF}}${CRLF}0${CRLF}${CRLF}`;
  const raw = fc.oneof(
    damaged(good),
    damaged(
      head("GET", "/web/hello?name=x", [
        ["Host", "fuzz"],
        ["Connection", "close"],
      ]),
    ),
    fc.uint8Array({ minLength: 1, maxLength: 300 }),
    nasty.map((path) =>
      latin1(
        head("GET", `/${path}`, [
          ["Host", "fuzz"],
          ["Connection", "close"],
        ]),
      ),
    ),
    fc.tuple(fc.stringMatching(/^[A-Z]{1,12}$/), headerValue).map(([method, host]) =>
      latin1(
        head(method, "/web/hello", [
          ["Host", host],
          ["Connection", "close"],
        ]),
      ),
    ),
  );

  return { json, uploads, multipart, headers, cursors, queries, raw };
}
