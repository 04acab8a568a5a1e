import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceSpec } from "../../src/protocol/spec.ts";
import { buildError, makeProject } from "./project.ts";

const HEAD = 'import { App } from "athanor";\nexport const app = new App("demo", { timeoutS: 30, retries: 2 });\n';

test("each kind of service becomes a spec, of its options, the app's and the defaults", async () => {
  await using project = await makeProject({
    "app.ts": `${HEAD}
/** All of the API. @deprecated Use v2. */
export const api = app.fetch({ access: "token", concurrency: 7 }, async () => (request) => new Response(request.url));
export const legacyApp = app.node({ path: "/", healthPath: "/up", startupTimeoutS: 60 }, () => (request: unknown, response: { end(): void }) => response.end());
export const tool = app.webServer(8000, { command: ["./bin/server", "--port", "8000", ""] });
export const own = app.webServer(9000, ({ port }) => void port);
class Model {
  #name = "";
  @app.enter() load() { this.#name = "model"; }
  @app.fetch({ path: "/model" }) serving() { return () => new Response(this.#name); }
}
`,
    "bin/server": "#!/bin/sh\n",
  });
  const { spec, files } = await project.build();
  const byName = new Map(spec.functions.map((fn) => [fn.name, fn]));
  assert.deepEqual([...byName.keys()], ["api", "legacy-app", "tool", "own", "serving"]);
  const face = { access: "public", cors: null, serviceStartupTimeoutS: 300, drainTimeoutS: 30 } as const;
  const service: ServiceSpec = {
    path: "/api",
    healthPath: null,
    startupTimeoutS: 300,
    server: null,
    python: null,
    ...face,
  };
  assert.deepEqual(byName.get("api")?.service, { ...service, access: "token" });
  assert.deepEqual(byName.get("legacy-app")?.service, {
    ...service,
    path: "/",
    healthPath: "/up",
    startupTimeoutS: 60,
  });
  const command = ["./bin/server", "--port", "8000", ""];
  assert.deepEqual(byName.get("tool")?.service, {
    ...service,
    path: "/tool",
    startupTimeoutS: 5,
    server: { port: 8000, command },
  });
  assert.deepEqual(byName.get("own")?.service?.server, { port: 9000, command: null });
  const api = byName.get("api");
  assert.deepEqual(
    [api?.kind, api?.queue, api?.endpoint, api?.concurrency, api?.timeoutS],
    ["fetch", null, null, 7, 30],
  );
  assert.deepEqual([api?.description, api?.deprecated], ["All of the API.", true]);
  assert.deepEqual(
    [api?.input, api?.output],
    [
      { mode: "request", params: [] },
      { schema: null, stream: false, standard: false },
    ],
  );
  assert.equal(byName.get("serving")?.className, "Model");
  // What a program needs ships.
  assert.deepEqual(
    files.map(({ path }) => path),
    ["app.ts", "bin/server", "package.json"],
  );
});

test("what is wrong with a service names its file and line", async () => {
  const cases: [code: string, error: string, message: RegExp][] = [
    [
      "app.fetch({ queue: {} } as {}, () => () => new Response())",
      "option_invalid",
      /^app\.ts:3: fetch f: there is no option queue/,
    ],
    ["app.fetch({ healthPath: '/' } as {}, () => () => new Response())", "option_invalid", /no option healthPath/],
    [
      "app.node({ path: 'api' }, () => () => {})",
      "option_invalid",
      /path is "api", but must be a path that begins with \//,
    ],
    ["app.node({ path: '/docs' }, () => () => {})", "option_invalid", /the app's own documentation/],
    ["app.node({ path: '/a/' }, () => () => {})", "option_invalid", /no \/ at its end/],
    [
      "app.webServer(8000, { command: [] })",
      "option_invalid",
      /command is \[\], but must be a list of texts, the program first/,
    ],
    ["app.webServer(0, () => {})", "option_invalid", /app\.webServer was called with arguments that it does not take/],
    [
      "app.webServer(80, { command: ['x'] } as {}, () => {})",
      "option_invalid",
      /app\.webServer was called with arguments/,
    ],
    ["app.fetch((request: Request) => new Response(request.url))", "build_failed", /^app\.ts:3: .*too few arguments/],
    [
      "app.fetch(() => () => new Response()), g = app.node({ path: '/f' }, () => () => {})",
      "name_collision",
      /g has the path \/f, which is that of f/,
    ],
    ["app.fetch(() => () => new Response()), g = app.endpoint('/f', () => 1)", "name_collision", /g has the path \/f/],
  ];
  for (const [code, expected, message] of cases) {
    const error = await buildError({ "app.ts": `${HEAD}export const f = ${code};\n` });
    assert.deepEqual([error.code, error.detail.match(message) !== null], [expected, true], `${code}: ${error.detail}`);
  }
});
