/** `athanor/testing`: calls without a socket. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { type App, type Handle, ImageFile } from "athanor";
import { call, close, invoke, open } from "athanor/testing";
import { transform } from "esbuild";
import { app, batched, count, fails, hello, later, left, picture, queued, state, sum } from "./apps/served.ts";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

after(() => close(app));

describe("call", () => {
  it("asks by the endpoint's own method, with a query", async () => {
    const response = await call(app, "/hello", { query: { name: "Ada", times: 2 } });
    assert.ok(response instanceof Response);
    assert.deepEqual(await response.json(), { message: "Hello, Ada!Hello, Ada!" });
    assert.equal((await call(app, "/hello?name=Bea")).headers.get("content-type"), "application/json");
  });

  it("sends JSON, forms with files, and any body, and any method and headers", async () => {
    assert.deepEqual(await (await call(app, "/sum", { json: { numbers: [1, 2] } })).json(), { sum: 3 });
    assert.equal((await call(app, "/sum", { method: "PUT", json: { numbers: [] } })).status, 200);
    const image = ImageFile.fromBytes(PNG, { fileName: "dot.png" });
    for (const file of [image, new Blob([PNG], { type: "image/png" }), new Uint8Array(PNG)]) {
      const response = await call(app, "/picture", { form: { file, note: "a dot" } });
      assert.deepEqual(await response.json(), { kind: "image/png", note: "a dot" });
    }
    const large = "x".repeat(300_000);
    const raw = await call(app, "/raw", { body: large, headers: { "content-type": "text/plain" } });
    assert.deepEqual([raw.status, raw.headers.get("x-own"), await raw.text()], [201, "1", `POST ${large}`]);
  });

  it("gets problems, streams, and answers without a body, as the network would bring them", async () => {
    const invalid = await call(app, "/sum", { json: { numbers: "1" } });
    assert.equal(invalid.headers.get("content-type"), "application/problem+json");
    assert.equal(((await invalid.json()) as { code: string }).code, "input_invalid");
    assert.equal((await call(app, "/nothing")).status, 404);
    assert.equal(await (await call(app, "/stream", { query: { to: 3 } })).text(), "1\n2\n3\n");
    assert.equal((await call(app, "/sum", { method: "OPTIONS" })).status, 204);
    assert.equal((await call(app, "/hello?name=Ada", { method: "HEAD" })).body, null);
    assert.equal(await (await call(app, "/api/x")).text(), "fetched /x");
    assert.equal((await call(app, "/queued", { json: { n: 1 } })).status, 501);
    assert.equal((await call(app, "/secret", { token: "any" })).status, 401);
  });

  it("tells the code that its answer is read no more", async () => {
    const response = await call(app, "/endless");
    await response.body?.cancel();
    await left.promise;
  });

  it("runs the code that the test has imported", async () => {
    const { greeted } = state;
    await call(app, "/hello?name=Ada");
    assert.equal(state.greeted, greeted + 1);
  });
});

describe("invoke", () => {
  it("calls functions by their handles, across the wire's types", async () => {
    const at: Date = await invoke(later, new Date(0), 2);
    assert.deepEqual(at, new Date(2000));
    assert.deepEqual(await invoke(later, new Date(0)), new Date(1000));
    const chunks: number[] = await invoke(count, 3);
    assert.deepEqual(chunks, [1, 2, 3]);
    assert.equal(await invoke(queued, 1), 2);
    assert.equal(await invoke(batched, "four"), 4);
    assert.deepEqual(await invoke(picture, ImageFile.fromBytes(PNG), "n"), { kind: "image/png", note: "n" });
    assert.deepEqual(await invoke(hello, "Ada"), { message: "Hello, Ada!" });
    assert.deepEqual(await invoke(app.functions.sum as typeof sum, [1, 2]), { sum: 3 });
  });

  it("throws what the function throws, and what is wrong with arguments and results", async () => {
    await assert.rejects(invoke(fails), RangeError);
    // @ts-expect-error The argument is a date.
    await assert.rejects(invoke(later, "soon"), { code: "input_invalid" });
    // @ts-expect-error There is an argument.
    await assert.rejects(invoke(sum), { code: "input_invalid" });
    await assert.rejects(invoke(app.functions.nothing as typeof sum, []), { code: "function_not_found" });
    await assert.rejects(invoke({} as typeof sum, []), { code: "usage" });
  });
});

const CLASS_APP = `import { App } from "athanor";
export const app = new App("classes");
const seen: string[] = ((globalThis as { seen?: string[] }).seen ??= []);
export class Model {
  #name = "";
  @app.enter() async load() { this.#name = "small"; seen.push("enter"); }
  @app.exit() unload() { seen.push("exit"); }
  @app.endpoint("/ask") ask(text: string) { return { text, by: this.#name }; }
  @(app.function()) shout(text: string) { return text.toUpperCase(); }
}
`;

describe("an app with classes", () => {
  it("runs enter hooks once for all calls, and exit hooks once at its end", async (t) => {
    const dir = await mkdtemp(path.join(tmpdir(), "athanor-testing-"));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const entry = path.join(dir, "app.ts");
    await writeFile(path.join(dir, "package.json"), '{ "type": "module" }');
    await writeFile(entry, CLASS_APP);
    await mkdir(path.join(dir, "node_modules"));
    await symlink(path.join(import.meta.dirname, "../.."), path.join(dir, "node_modules/athanor"));
    // What vitest and the like do: Node itself knows no decorators.
    const { code } = await transform(CLASS_APP, { loader: "ts", target: "es2022" });
    await writeFile(path.join(dir, "app.compiled.mjs"), code);
    const { app: classes } = (await import(pathToFileURL(path.join(dir, "app.compiled.mjs")).href)) as { app: App };
    const { seen } = globalThis as unknown as { seen: string[] };
    await open(classes, { entry });
    const asked = await Promise.all(["a", "b"].map((text) => call(classes, "/ask", { json: { text } })));
    assert.deepEqual(await Promise.all(asked.map((response) => response.json())), [
      { text: "a", by: "small" },
      { text: "b", by: "small" },
    ]);
    const shout = classes.functions.shout as unknown as Handle<[string], string>;
    assert.equal(await invoke(shout, "x"), "X");
    assert.deepEqual(seen, ["enter"]);
    await close(classes);
    await close(classes);
    assert.deepEqual(seen, ["enter", "exit"]);
  });
});

describe("open and close", () => {
  it("opens once for all calls, and anew after it was closed", async () => {
    await close(app);
    await using _open = await open(app, { token: "token-of-the-test" });
    assert.equal((await call(app, "/secret", { token: "token-of-the-test" })).status, 200);
  });
});
