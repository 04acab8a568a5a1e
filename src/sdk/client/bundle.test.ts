import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

const entry = join(import.meta.dirname, "index.ts");

test("the client bundles for a browser: it imports no module of Node, and no package but the event stream's parser", async () => {
  // An import of a module that a browser lacks fails the build.
  const { metafile, outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: "browser",
    format: "esm",
    logLevel: "silent",
  });
  const inputs = Object.keys(metafile.inputs);
  const packages = new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []));
  assert.deepEqual([...packages], ["eventsource-parser"]);
  assert.ok(
    inputs.every((file) => !/src\/(server|cli|build|runtime|engines)\//.test(file)),
    inputs.join("\n"),
  );
  const bytes = outputFiles[0]?.contents.length ?? 0;
  assert.ok(bytes > 0 && bytes < 200_000, `${bytes} bytes`);
});

test("the bundle works where there is neither process nor Buffer", async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { Client, ImageFile } from ${JSON.stringify(entry)};
        const calls = [];
        const fetch = async (url, init) => {
          calls.push([init.method, url, init.headers.authorization, JSON.parse(init.body ?? "null")]);
          const job = { job_id: "jobs:1", status: "queued", function: "infer", deployment_id: "deployments:1" };
          const body = init.method === "POST" ? { call: 0, job } : true;
          return new Response(JSON.stringify(body) + "\\n", { status: 200 });
        };
        const demo = new Client({ url: "http://server/", token: "t", fetch }).app("demo");
        const image = ImageFile.fromBase64("iVBORw0KGgo=");
        const result = await demo.swapFace.remote(image, new Uint8Array([1, 2]));
        globalThis.answer({ calls, result });
      `,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    platform: "browser",
    // It runs as a script here, which has none.
    define: { "import.meta.url": '"http://page/app.js"' },
    format: "esm",
  });
  // What browsers have, and nothing of Node's.
  const { answer, context } = browserLike();
  runInContext(`(async () => {${outputFiles[0]?.text ?? ""}})().catch(fail)`, context);
  const { calls, result } = (await answer) as { calls: unknown[][]; result: unknown };
  assert.equal(result, true);
  const [spawned, waited] = JSON.parse(JSON.stringify(calls));
  const { idempotency_key: key, ...call } = spawned[3].calls[0];
  assert.match(key, /^[\w-]{36,}$/);
  assert.deepEqual(spawned.slice(0, 3), ["POST", "http://server/v1/calls", "Bearer t"]);
  const image = { file_name: "image.png", content_type: "image/png", content: "iVBORw0KGgo=" };
  assert.deepEqual(call, { app: "demo", function: "swap-face", args: [image, "AQI="], wait: true });
  assert.deepEqual(waited, ["GET", "http://server/v1/jobs/jobs%3A1/result?wait=30", "Bearer t", null]);
});

function browserLike() {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const names = [
    "fetch",
    "Response",
    "Headers",
    "URL",
    "URLSearchParams",
    "AbortController",
    "AbortSignal",
    "Blob",
  ] as const;
  const more = [
    "ReadableStream",
    "TextDecoder",
    "TextEncoder",
    "atob",
    "btoa",
    "crypto",
    "setTimeout",
    "clearTimeout",
  ] as const;
  const given = Object.fromEntries([...names, ...more].map((name) => [name, globalThis[name]]));
  return { answer: promise, context: createContext({ ...given, answer: resolve, fail: reject }) };
}
