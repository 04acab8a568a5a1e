import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AthanorError } from "../protocol/errors.ts";
import type { Json, JsonSchema } from "../protocol/json.ts";
import type { FunctionSpec } from "../protocol/spec.ts";
import { bodyLimitBytes, readBody } from "./body.ts";
import { bodyFromCall } from "./call-body.ts";
import { extractMedia, type ReadBody } from "./extract.ts";
import { BYTES, functionOf, functionWith, PNG, param } from "./fixtures.ts";
import { parseJson } from "./json-text.ts";
import { IMAGE_SCHEMA } from "./media.ts";

const FN = functionOf({
  "n?": { type: "number" },
  "b?": { type: "boolean" },
  "s?": { type: "string" },
  "u?": { anyOf: [{ type: "number" }, { type: "null" }] },
  "both?": { anyOf: [{ type: "number" }, { type: "string" }] },
  "e?": { enum: [1, 2, "auto", true] },
  "list?": { type: "array", items: { type: "integer" } },
  "texts?": { type: "array", items: { type: "string" } },
  "tuple?": { type: "array", prefixItems: [{ type: "string" }, { type: "number" }], items: false },
  "o?": { type: "object" },
  "date?": { type: "string", format: "date-time", "x-athanor-type": "date" },
  "bytes?": BYTES,
  "image?": IMAGE_SCHEMA,
  "images?": { type: "array", items: IMAGE_SCHEMA },
  "imageOrText?": { anyOf: [IMAGE_SCHEMA, { type: "string" }] },
  "maybe?": { anyOf: [IMAGE_SCHEMA, { type: "null" }] },
});

interface Request {
  method?: string;
  query?: string;
  type?: string | null;
  body?: Uint8Array | string | null;
  length?: number | null;
  max?: number;
  fn?: FunctionSpec;
  chunk?: number;
}

async function read(p: Request): Promise<ReadBody> {
  const bytes = typeof p.body === "string" ? Buffer.from(p.body) : (p.body ?? null);
  const size = p.chunk ?? 11;
  async function* chunks(all: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
  }
  const fn = p.fn ?? FN;
  return readBody({
    method: p.method ?? "POST",
    url: new URL(`http://host.example/x${p.query ?? ""}`),
    contentType: p.type === undefined ? "application/json" : p.type,
    contentLength: p.length ?? null,
    body: bytes === null ? null : chunks(bytes),
    fn,
    $defs: {},
    maxBodyBytes: p.max ?? bodyLimitBytes(fn, {}),
  });
}

async function refused(p: Request): Promise<AthanorError> {
  try {
    const { body } = await read(p);
    throw new Error(`it was read: ${JSON.stringify(body)}`);
  } catch (error) {
    if ((error as Error).name !== "AthanorError") throw error;
    return error as AthanorError;
  }
}

async function form(parts: [string, string | Blob, string?][]): Promise<{ type: string; body: Uint8Array }> {
  const data = new FormData();
  for (const [name, value, fileName] of parts) {
    if (typeof value === "string") data.append(name, value);
    else data.append(name, value, fileName);
  }
  const response = new Response(data);
  return { type: response.headers.get("content-type") ?? "", body: new Uint8Array(await response.arrayBuffer()) };
}

test("queries and urlencoded forms become what the schema says", async () => {
  const cases: [string, Json][] = [
    ["", {}],
    ["n=5", { n: 5 }],
    ["n=-1.5e3&b=true", { n: -1500, b: true }],
    ["n=five&b=maybe", { n: "five", b: "maybe" }],
    ["n=0x10", { n: "0x10" }],
    ["n=Infinity", { n: "Infinity" }],
    ["n=1e999", { n: "1e999" }],
    ["b=1", { b: true }],
    ["b=off", { b: false }],
    ["s=5", { s: "5" }],
    ["s=", { s: "" }],
    ["n=&b=&u=", {}],
    ["u=null", { u: null }],
    ["u=7", { u: 7 }],
    ["both=7", { both: "7" }],
    ["e=1", { e: 1 }],
    ["e=auto", { e: "auto" }],
    ["e=true", { e: true }],
    ["e=3", { e: "3" }],
    ["list=1", { list: [1] }],
    ["list=1&list=2", { list: [1, 2] }],
    ["list[]=1&list[]=2", { list: [1, 2] }],
    ["list=%5B1,2%5D", { list: [1, 2] }],
    ["texts=a", { texts: ["a"] }],
    ["tuple=a&tuple=2", { tuple: ["a", 2] }],
    ["o=%7B%22a%22:[1]%7D", { o: { a: [1] } }],
    ["o=%7Bbroken", { o: "{broken" }],
    ["date=2026-01-02T03:04:05Z", { date: "2026-01-02T03:04:05Z" }],
    ["s=a&s=b", { s: ["a", "b"] }],
    ["unknown=1", { unknown: "1" }],
    ["s=a%20b+c%C3%A9", { s: "a b cé" }],
  ];
  for (const [query, expected] of cases) {
    const fromQuery = await read({ method: "GET", query: `?${query}` });
    assert.deepEqual(fromQuery.body, expected, query);
    const fromForm = await read({ type: "application/x-www-form-urlencoded", body: query });
    assert.deepEqual(fromForm.body, expected, query);
  }
});

test("a form without a schema stays text", async () => {
  const fn = functionWith({ mode: "standard", schema: null });
  assert.deepEqual((await read({ fn, method: "GET", query: "?a=1&b=2&b=3" })).body, { a: "1", b: ["2", "3"] });
});

test("JSON comes in UTF-8 or what its charset says; nothing at all is an empty object", async () => {
  assert.deepEqual((await read({ body: '\ufeff{"s":"é"}' })).body, { s: "é" });
  assert.deepEqual((await read({ type: "application/vnd.x+json; charset=UTF-8", body: "{}" })).body, {});
  const latin = Buffer.from('{"s":"é"}', "latin1");
  assert.deepEqual((await read({ type: 'application/json; charset="iso-8859-1"', body: latin })).body, { s: "é" });
  for (const type of [null, "application/json"]) assert.deepEqual((await read({ type, body: null })).body, {});
  const invalid = await refused({ body: latin });
  assert.equal(invalid.code, "malformed_json");
  assert.match(invalid.detail, /from byte 7 on/);
  assert.equal((await refused({ type: "application/json; charset=nope", body: "{}" })).code, "unsupported_media_type");
});

test("malformed JSON names line and column", async () => {
  const cases: [string, number, number][] = [
    ['{"a":1,}', 1, 8],
    ['{"a":1', 1, 7],
    ["{a:1}", 1, 2],
    ["[1 2]", 1, 4],
    ['{\n  "a": tru\n}', 2, 8],
    ["[1,\n2,\n  ,3]", 3, 3],
    ['["\\x"]', 1, 2],
    ['{"a":01}', 1, 6],
    ["[1,2]]", 1, 6],
    ['{"a" 1}', 1, 6],
    ["'x'", 1, 1],
    [`${"[".repeat(300)}${"]".repeat(300)}`, 1, 201],
  ];
  for (const [body, line, column] of cases) {
    const error = await refused({ body });
    assert.equal(error.code, "malformed_json", body);
    assert.match(error.detail, new RegExp(`line ${line}, column ${column} `), body);
  }
});

test("names that could reach a prototype, or are reserved, are refused everywhere", async () => {
  const bodies = [
    '{"__proto__":1}',
    '{"o":{"__proto__":{"a":1}}}',
    '{"\\u005f_proto__":1}',
    '{"o":{"constructor":{"prototype":{}}}}',
    '{"o":[{"$media":0}]}',
    '{"\\u0024media":0}',
  ];
  for (const body of bodies) assert.equal((await refused({ body })).code, "input_invalid", body);
  assert.equal((await refused({ method: "GET", query: "?__proto__=1" })).code, "input_invalid");
  assert.equal((await refused({ method: "GET", query: "?o=%7B%22__proto__%22:1%7D" })).code, "input_invalid");
  assert.equal((await refused(await form([["__proto__", "1"]]))).code, "input_invalid");
  assert.throws(() => bodyFromCall(FN, { kwargs: JSON.parse('{"__proto__":1}') }), { code: "input_invalid" });
  assert.deepEqual((await read({ body: '{"o":{"constructor":"Acme"}}' })).body, { o: { constructor: "Acme" } });
  assert.equal(({} as Record<string, unknown>).a, undefined);
});

test("multipart parts become fields, files and repeated ones arrays", async () => {
  const png = new Blob([PNG]);
  const sent = await form([
    ["image", png, "é/../a b.png"],
    ["images", png, "1.png"],
    ["images", png, "2.png"],
    ["n", "7"],
    ["list", "1"],
    ["list", "2"],
    ["bytes", new Blob(["hi"]), "x.bin"],
    ["o", new Blob(['{"a":2}'], { type: "application/json" }), "o.json"],
    ["maybe", new Blob([]), ""],
  ]);
  for (const chunk of [1, 7, 100_000]) {
    const { body, attachments } = await read({ ...sent, chunk });
    const ref = ($media: number, file_name: string): Json => ({ $media, file_name, content_type: "image/png" });
    assert.deepEqual(body, {
      image: ref(0, "a b.png"),
      images: [ref(1, "1.png"), ref(2, "2.png")],
      n: 7,
      list: [1, 2],
      bytes: "aGk=",
      o: { a: 2 },
    });
    for (const bytes of attachments) assert.deepEqual(new Uint8Array(bytes), new Uint8Array(PNG));
  }
  const single = await form([["images", png, "1.png"]]);
  assert.ok(
    Array.isArray((await read(single)).body) === false &&
      Array.isArray(((await read(single)).body as { images: Json }).images),
  );
});

test("malformed forms are refused", async () => {
  const { type, body } = await form([
    ["image", new Blob([PNG]), "a.png"],
    ["s", "x"],
  ]);
  for (const cut of [1, 10, 60, body.length - 30]) {
    const { code } = await refused({ type, body: body.subarray(0, cut) });
    assert.equal(code, "malformed_form", `cut at ${cut}`);
  }
  for (const bad of [
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    `multipart/form-data; boundary=${"x".repeat(300)}`,
  ]) {
    assert.equal((await refused({ type: bad, body: "garbage" })).code, "malformed_form", bad);
  }
  assert.equal((await refused({ type: "multipart/form-data; boundary=x", body: null })).code, "malformed_form");
  const unnamed = "--x\r\ncontent-disposition: form-data\r\n\r\nv\r\n--x--\r\n";
  assert.equal((await refused({ type: "multipart/form-data; boundary=x", body: unnamed })).code, "malformed_form");
  const many = Array.from({ length: 1500 }, () => '--x\r\ncontent-disposition: form-data; name="s"\r\n\r\nv\r\n').join(
    "",
  );
  assert.equal(
    (await refused({ type: "multipart/form-data; boundary=x", body: `${many}--x--\r\n`, chunk: 5000 })).code,
    "malformed_form",
  );
  assert.equal((await refused(await form([["x".repeat(500), "1"]]))).code, "malformed_form");
  assert.equal((await refused(await form([["n", new Blob(["1"]), "n.txt"]]))).code, "input_invalid");
});

test("what is neither JSON nor a form is refused, as is what is too large, before and while it is read", async () => {
  assert.equal((await refused({ type: "text/plain", body: "x" })).code, "unsupported_media_type");
  assert.equal((await refused({ type: null, body: "x" })).code, "unsupported_media_type");
  const unread = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("it was read")) }) };
  const p = {
    method: "POST",
    url: new URL("http://h.example/"),
    contentType: "application/json",
    fn: FN,
    $defs: {},
    maxBodyBytes: 10,
  };
  await assert.rejects(readBody({ ...p, contentLength: 11, body: unread }), { code: "body_too_large" });
  assert.equal((await refused({ body: JSON.stringify({ s: "x".repeat(100) }), max: 50 })).code, "body_too_large");
  const small = { ...FN, endpoint: { maxUploadFileSizeMb: 0.001 } } as unknown as FunctionSpec;
  assert.equal(
    (await refused({ ...(await form([["image", new Blob([PNG, Buffer.alloc(2000)]), "a.png"]])), fn: small })).code,
    "body_too_large",
  );
  const large = Buffer.concat([PNG, Buffer.alloc(2000)]).toString("base64");
  assert.equal((await refused({ body: JSON.stringify({ image: large }), fn: small })).code, "body_too_large");
  assert.ok(bodyLimitBytes(FN, {}) > bodyLimitBytes(functionOf({ n: true }), {}));
});

test("media may be given inline in every form, and stand in the body as MediaRef", async () => {
  const base64 = Buffer.from(PNG).toString("base64");
  const forms: [Json, string][] = [
    [base64, "image.png"],
    [`data:image/png;base64,${base64}`, "image.png"],
    [base64.replace(/(.{20})/g, "$1\n"), "image.png"],
    [{ content: base64 }, "image.png"],
    [{ file_name: "x.png", content_type: "image/gif", content: `data:;base64,${base64}` }, "x.png"],
    [{ file_name: "..\\..\\etc\u0000/p\nass.png", content: base64 }, "pass.png"],
  ];
  for (const [image, file_name] of forms) {
    const { body, attachments } = extractMedia(
      FN,
      {},
      { image: structuredClone(image), maybe: null, imageOrText: "just text" },
    );
    assert.deepEqual(body, {
      image: { $media: 0, file_name, content_type: "image/png" },
      maybe: null,
      imageOrText: "just text",
    });
    assert.deepEqual(new Uint8Array(attachments[0] ?? []), new Uint8Array(PNG));
  }
});

test("what is no image is refused: other files, paths, URLs, references", async () => {
  const bad: Json[] = [
    "/etc/passwd",
    "a.png",
    "C:\\x.png",
    "http://h.example/a.png",
    "https://h.example/a",
    "file:///etc/passwd",
    "aGVsbG8=",
    "",
    "data:image/png;base64,###",
    "data:image/png,%zz",
    { content: "aGk=" },
    { url: "http://h.example/" },
  ];
  for (const image of bad) {
    const error = await refused({ body: JSON.stringify({ image }) });
    assert.equal(error.code, "media_invalid", JSON.stringify(image));
    assert.match(error.errors?.[0]?.path ?? "", /^\/image/);
  }
  assert.equal((await refused(await form([["image", new Blob(["hello"]), "a.png"]]))).code, "media_invalid");
  assert.throws(() => extractMedia(FN, {}, { image: { $media: 0, file_name: "a", content_type: "image/png" } }), {
    code: "media_invalid",
  });
  // Left for the validator, which names it.
  assert.deepEqual((await read({ body: '{"image":5}' })).body, { image: 5 });
});

test("a call's args and kwargs become the body by name", () => {
  const schema: JsonSchema = { type: "object" };
  const fn = functionWith({
    mode: "params",
    params: [{ ...param("progress"), inject: "progress" }, param("a"), param("b"), { ...param("more"), rest: true }],
    schema,
  });
  assert.deepEqual(bodyFromCall(fn, {}), {});
  assert.deepEqual(bodyFromCall(fn, { args: [1], kwargs: { b: 2 } }), { a: 1, b: 2 });
  assert.deepEqual(bodyFromCall(fn, { args: [1, 2, 3, 4] }), { a: 1, b: 2, more: [3, 4] });
  assert.throws(() => bodyFromCall(fn, { args: [1], kwargs: { a: 2 } }), { code: "input_invalid" });
  const closed = functionOf({ a: true });
  assert.throws(() => bodyFromCall(closed, { args: [1, 2] }), { code: "input_invalid" });
  const object = functionWith({
    mode: "object",
    params: [param("it")],
    schema: { type: "object", properties: { x: true } },
  });
  assert.deepEqual(bodyFromCall(object, { args: [{ x: 1 }] }), { x: 1 });
  assert.deepEqual(bodyFromCall(object, { kwargs: { x: 1 } }), { x: 1 });
  assert.deepEqual(bodyFromCall(object, { kwargs: { it: { x: 1 } } }), { x: 1 });
  assert.throws(() => bodyFromCall(object, { args: [1, 2] }), { code: "input_invalid" });
});

test("any JSON value is read back as it is, and any broken text is refused as JSON.parse refuses it", () => {
  const value = fc.jsonValue({ maxDepth: 6 });
  fc.assert(
    fc.property(value, fc.nat(), fc.string({ maxLength: 2 }), (given, at, junk) => {
      const text = JSON.stringify(given, null, at % 3);
      if (!/__proto__|\$media|"constructor"/.test(text)) assert.deepEqual(parseJson(text), JSON.parse(text));
      const cut = at % (text.length + 1);
      const broken = text.slice(0, cut) + junk + text.slice(cut + 1);
      let expected: unknown;
      try {
        expected = { value: JSON.parse(broken) };
      } catch {
        expected = null;
      }
      try {
        const parsed = parseJson(broken);
        assert.deepEqual({ value: parsed }, expected);
      } catch (error) {
        const { code, detail } = error as AthanorError;
        if (code === "input_invalid") return;
        assert.equal(code, "malformed_json", String(error));
        assert.equal(expected, null);
        // What comes before the named position is the start of some JSON text; the character there can't follow it.
        const position = Number(/position (\d+)/.exec(detail)?.[1]);
        assert.ok(position >= 0 && position <= broken.length);
      }
    }),
    { numRuns: 1000 },
  );
});

test("whatever bytes come under whatever content type, the answer is a body or an error of the caller", async () => {
  const types = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=",
    "text/plain",
    "application/json;charset=utf-16",
  ];
  const piece = fc.oneof(
    fc.constantFrom(
      "--x",
      "--x--",
      "\r\n",
      "\r\n\r\n",
      'content-disposition: form-data; name="image"; filename="a.png"',
      'content-disposition: form-data; name="n"',
      "content-type: application/json",
      "n=1&",
      "{",
      "}",
      '"',
      "%",
      "[]",
      "__proto__",
    ),
    fc.string({ maxLength: 8 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...types),
      fc.array(piece, { maxLength: 20 }),
      fc.uint8Array({ maxLength: 20 }),
      async (type, pieces, bytes) => {
        const body = Buffer.concat([Buffer.from(pieces.join("")), bytes]);
        try {
          await read({ type, body });
        } catch (error) {
          const { name, status } = error as AthanorError;
          assert.equal(name, "AthanorError", String((error as Error).stack));
          assert.ok(status >= 400 && status < 500);
        }
      },
    ),
    { numRuns: 1500 },
  );
});
