import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { App } from "./app.ts";
import { JobContext, JobProgress } from "./context.ts";
import { APP_STATE, type AppState, registry, SITE_KEY } from "./registry.ts";

const site = (name: string, className: string | null = null) => ({ [SITE_KEY]: { name, codeName: name, className } });

/** The methods take what the build inserts, which their types do not show. */
interface Loose {
  // biome-ignore lint/suspicious/noExplicitAny: arguments as the build makes them
  endpoint(...args: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: arguments as the build makes them
  function(...args: any[]): any;
}

const loose = (app: App) => app as unknown as Loose;

test("every form of a call is registered with what it was given", () => {
  const app = new App("forms", { memoryMb: 512 });
  const fn = () => 1;
  loose(app).endpoint("/a", { methods: ["GET"] }, fn, site("a"));
  loose(app).endpoint("/b", fn, site("b"));
  loose(app).endpoint({ tags: ["x"] }, fn);
  loose(app).endpoint(fn);
  loose(app).function({ retries: 1 }, fn, site("e"));
  loose(app).function(fn);
  assert.equal(app[APP_STATE].name, "forms");
  assert.deepEqual(app[APP_STATE].options, { memoryMb: 512 });
  assert.ok(registry().apps.includes(app));
  assert.deepEqual(
    app[APP_STATE].registrations.map((r) => [r.kind, r.path, r.options, r.handler === fn, r.site?.name ?? null]),
    [
      ["endpoint", "/a", { methods: ["GET"] }, true, "a"],
      ["endpoint", "/b", {}, true, "b"],
      ["endpoint", null, { tags: ["x"] }, true, null],
      ["endpoint", null, {}, true, null],
      ["function", null, { retries: 1 }, true, "e"],
      ["function", null, {}, true, null],
    ],
  );
});

test("arguments that fit no form are refused", () => {
  const app = new App("refused");
  assert.throws(() => loose(app).function("/path", () => 1), { code: "option_invalid" });
  assert.throws(
    () =>
      loose(app).endpoint(
        "/a",
        {},
        () => 1,
        () => 2,
      ),
    { code: "option_invalid" },
  );
  assert.throws(() => loose(app).endpoint(1, () => 1), { code: "option_invalid" });
});

test("names that cannot be an app's are refused", () => {
  for (const name of ["", "Demo", "a_b", "-a", "a".repeat(31), "v1", "healthz"]) {
    assert.throws(() => new App(name), { code: "name_invalid" }, name);
  }
});

test("decorated methods and hooks are found by class, those of a base class included", async () => {
  const source = `
    import { App } from "./app.ts";
    export const app = new App("decorated");
    const site = (name, className) => ({ "athanor:site": { name, codeName: name, className } });
    class Base {
      @app.enter() async open() {}
      @app.exit() close() {}
    }
    export class Model extends Base {
      @app.enter() load() {}
      @app.endpoint("/run", { queue: {} }, site("run", "Model")) run() { return 1; }
      @(app.function(site("again", "Model"))) again() { return 2; }
    }
    export class Other {
      @app.endpoint(site("ping", "Other")) ping() { return "pong"; }
    }
  `;
  const built = await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    target: "node24",
    platform: "node",
  });
  const url = `data:text/javascript;base64,${Buffer.from(built.outputFiles[0]?.contents ?? "").toString("base64")}`;
  const state = ((await import(url)) as { app: { [APP_STATE]: AppState } }).app[APP_STATE];
  assert.deepEqual(
    state.registrations.map((r) => [r.methodName, r.kind, r.path, r.options, r.handler, r.site?.className]),
    [
      ["run", "endpoint", "/run", { queue: {} }, null, "Model"],
      ["again", "function", null, {}, null, "Model"],
      ["ping", "endpoint", null, {}, null, "Other"],
    ],
  );
  assert.deepEqual(Object.fromEntries(state.hooks), {
    Model: { enter: ["open", "load"], exit: ["close"] },
    Other: { enter: [], exit: [] },
  });
});

test("a decorator on anything but a public method says so", () => {
  const app = new App("misplaced");
  const decorate = app.enter();
  assert.throws(
    () =>
      decorate(() => {}, { kind: "method", static: true, private: false, name: "x" } as ClassMethodDecoratorContext),
    TypeError,
  );
  // What experimentalDecorators would call it with.
  assert.throws(() => decorate({} as () => void, "name" as unknown as ClassMethodDecoratorContext), TypeError);
});

test("handles are found by their name in code and on the wire", () => {
  const app = new App("named");
  const handle = loose(app).function(() => 1, site("swap-face"));
  assert.equal(app.functions.swapFace, handle);
  assert.equal(app.functions["swap-face"], handle);
  assert.equal(app.functions.unknown?.serviceUrl, null);
});

test("progress is clamped and must be a number; the context tells what it was made with", () => {
  const seen: unknown[] = [];
  const progress = new JobProgress((fraction, message) => seen.push([fraction, message]));
  progress.setStatus(0.5, "half");
  progress.setStatus(1.0000001);
  progress.setStatus(-1);
  assert.deepEqual(seen, [
    [0.5, "half"],
    [1, null],
    [0, null],
  ]);
  assert.throws(() => progress.setStatus(Number.NaN), TypeError);
  const { signal } = new AbortController();
  const lines: unknown[] = [];
  const context = new JobContext({ jobId: "jobs:1", attempt: 2, signal, log: (...values) => lines.push(values) });
  context.log("a", 1);
  assert.deepEqual(
    [context.jobId, context.attempt, context.signal, context.request, lines],
    ["jobs:1", 2, signal, undefined, [["a", 1]]],
  );
});
