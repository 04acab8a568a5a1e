/** Apps in Python, with the real packages, through a real server. Their environments are made once for the whole file. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import type { Problem } from "../../src/protocol/wire.ts";
import { makeProject } from "../build/project.ts";
import { noPython } from "../harness/python.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let server: TestServer;

describe("Python", { skip: noPython, timeout: 300_000 }, () => {
  before(async () => {
    server = await startTestServer();
  });
  after(() => server?.[Symbol.asyncDispose]());

  const at = (path: string): string => `${server.url}${path}`;
  const json = async (path: string): Promise<unknown> => (await fetch(at(path))).json();
  const deployApp = async (name: string) =>
    server.api.deploy(await build({ entry: join(import.meta.dirname, "apps", name, "app.ts") }));
  const environments = (): string[] => readdirSync(join(server.dataDir, "python")).filter((name) => name !== "uv");
  /** Resolves once a replica of the deployment has written the line. */
  const written = async (deployment: string, line: string): Promise<void> => {
    const response = await server.api.fetch(`/v1/deployments/${deployment}/logs?follow=true`);
    let text = "";
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += piece;
      if (text.includes(JSON.stringify(line))) return;
    }
    throw new Error(`the log ended without ${line}`);
  };

  describe("FastAPI", () => {
    let deployment: string;
    before(async () => {
      deployment = (await deployApp("fastapi")).deployment.deployment_id;
    });

    it("answers JSON, knows its files, and where it is reached", async () => {
      assert.deepEqual(await json("/py/api/"), {
        started: true,
        url: at("/py/api/"),
        other: at("/py/api/items"),
        client: "127.0.0.1",
        files: ["app.ts", "main.py", "requirements.txt"],
      });
      const moved = await fetch(at("/py/api/moved"), { redirect: "manual" });
      assert.deepEqual([moved.status, moved.headers.get("location")], [307, at("/py/api/")]);
    });

    it("validates, in its own way", async () => {
      const post = (body: object) =>
        fetch(at("/py/api/items"), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
      const made = await post({ name: "ab", count: 2 });
      assert.deepEqual([made.status, await made.json()], [200, { total: "abab" }]);
      const refused = await post({ name: "ab", count: 0 });
      const { detail } = (await refused.json()) as { detail: { loc: string[] }[] };
      assert.deepEqual([refused.status, detail[0]?.loc], [422, ["body", "count"]]);
    });

    it("has its documentation below its own path", async () => {
      const page = await (await fetch(at("/py/api/docs"))).text();
      assert.match(page, /url: '\/py\/api\/openapi\.json'/);
      const { servers, paths } = (await json("/py/api/openapi.json")) as { servers: unknown; paths: object };
      assert.deepEqual([servers, Object.keys(paths).includes("/items")], [[{ url: "/py/api" }], true]);
    });

    it("streams an answer piece by piece", async () => {
      const response = await fetch(at("/py/api/stream"));
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const pieces: (string | undefined)[] = [];
      for (let i = 0; i < 3; i++) {
        pieces.push((await reader?.read())?.value);
        await fetch(at("/py/api/step"), { method: "POST" });
      }
      assert.deepEqual(pieces, ["piece 0\n", "piece 1\n", "piece 2\n"]);
      assert.equal((await reader?.read())?.done, true);
    });

    it("reads an upload as it comes", async () => {
      const body = new Readable({ read() {} });
      body.push(Buffer.alloc(1000));
      const answer = fetch(at("/py/api/upload"), {
        method: "POST",
        body: Readable.toWeb(body),
        duplex: "half",
      } as RequestInit);
      await fetch(at("/py/api/happened/first piece"));
      body.push(Buffer.alloc(2000));
      body.push(null);
      assert.deepEqual(await (await answer).json(), { bytes: 3000 });
    });

    it("hears that a client has gone", async () => {
      const leaving = new AbortController();
      const response = await fetch(at("/py/api/forever"), { signal: leaving.signal });
      await response.body?.getReader().read();
      leaving.abort();
      assert.equal((await fetch(at("/py/api/happened/gone"))).status, 200);
    });

    it("talks over WebSockets", async () => {
      const socket = new WebSocket(at("/py/api/echo").replace("http", "ws"), ["chat"]);
      socket.binaryType = "arraybuffer";
      const closed = once(socket, "close").then(([event]) => Promise.reject(new Error(`closed with ${event.code}`)));
      closed.catch(() => {});
      const next = async (): Promise<unknown> => {
        const [event] = (await Promise.race([once(socket, "message"), closed])) as [MessageEvent];
        return event.data;
      };
      assert.deepEqual(JSON.parse(String(await next())), { url: at("/py/api/echo").replace("http", "ws") });
      assert.equal(socket.protocol, "chat");
      for (const message of ["text ä", "x".repeat(200_000)]) {
        socket.send(message);
        assert.equal(await next(), message);
      }
      socket.send(new Uint8Array([1, 2, 255]));
      assert.deepEqual(new Uint8Array((await next()) as ArrayBuffer), new Uint8Array([1, 2, 255]));
      socket.close(3001, "enough");
      assert.deepEqual(await json("/py/api/happened/socket closed"), [3001]);
    });

    it("that dies is started anew", async () => {
      const died = await fetch(at("/py/api/die"), { method: "POST" });
      assert.equal(died.status, 502);
      assert.equal((await fetch(at("/py/api/"))).status, 200);
    });

    it("begins and ends its lifespan, and its lines are the function's", async () => {
      // A replica was tried at the deployment, and has ended.
      await written(deployment, "the lifespan began");
      await written(deployment, "the lifespan ended");
    });
  });

  it("Starlette streams events, mounts apps, and may lie in src and be made by a factory", async () => {
    await deployApp("starlette");
    assert.equal(await (await fetch(at("/star/healthy"))).text(), "3", "healthy at the second time that it was asked");
    const response = await fetch(at("/star/events"));
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader?.read())?.value, "event: one\ndata: 1\n\n");
    await fetch(at("/star/step"), { method: "POST" });
    assert.equal((await reader?.read())?.value, "event: two\ndata: 2\n\n");
    assert.equal(await (await fetch(at("/star/inner/users/ann"))).text(), `ann at ${at("/star/inner/users/other")}`);
  });

  it("Flask serves forms, cookies, templates, streams and its own URLs", async () => {
    await deployApp("flask");
    const sent = await fetch(at("/flask/site/form"), {
      method: "POST",
      body: new URLSearchParams({ name: "Ann" }),
      redirect: "manual",
    });
    assert.deepEqual([sent.status, sent.headers.get("location")], [302, "/flask/site/"]);
    const cookie = sent.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const page = await fetch(at("/flask/site/"), { headers: { cookie } });
    assert.equal(await page.text(), '<p>hello, Ann: <a href="/flask/site/form">form</a></p>');
    assert.deepEqual(await json("/flask/site/about"), {
      url: at("/flask/site/about"),
      root: "/flask/site",
      client: "127.0.0.1",
      whole: at("/flask/site/"),
    });
    const response = await fetch(at("/flask/site/stream"));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader?.read())?.value, "first\n");
    await fetch(at("/flask/site/step"), { method: "POST" });
    assert.equal((await reader?.read())?.value, "second\n");
    const body = Readable.toWeb(Readable.from([Buffer.alloc(70_000), Buffer.alloc(5)]));
    const upload = await fetch(at("/flask/site/upload"), { method: "POST", body, duplex: "half" } as RequestInit);
    assert.deepEqual(await upload.json(), { bytes: 70_005 });
  });

  it("Django serves pages and redirects below its path, as WSGI and as ASGI", async () => {
    await deployApp("django");
    for (const service of ["site", "live"]) {
      const home = await fetch(at(`/dj/${service}/`));
      assert.equal(await home.text(), `<a href="/dj/${service}/who/">${at(`/dj/${service}/`)}</a>\n`);
      const old = await fetch(at(`/dj/${service}/old/`), { redirect: "manual" });
      assert.deepEqual([old.status, old.headers.get("location")], [302, `/dj/${service}/`]);
      const who = { client: "127.0.0.1", secure: false, path: `/dj/${service}/who/` };
      assert.deepEqual(await json(`/dj/${service}/who/`), who);
      const slashed = await fetch(at(`/dj/${service}/who`), { redirect: "manual" });
      assert.deepEqual([slashed.status, slashed.headers.get("location")], [301, `/dj/${service}/who/`]);
    }
  });

  it("makes an environment once for the same requirements", async () => {
    const before = environments();
    await using project = await makeProject({
      "app.ts": `import { App } from "athanor"; const app = new App("again"); export const api = app.asgi("other:app", { packages: ["fastapi"] });`,
      "other.py":
        "import os\n\nfrom fastapi import FastAPI\n\nos.write(3, b'what is no report\\n')\napp = FastAPI()\n\n\n@app.get('/')\ndef root():\n    return 'again'\n",
    });
    await server.api.deploy(await project.build());
    assert.equal(await json("/again/api/"), "again");
    assert.deepEqual(environments(), before);
  });

  describe("refuses, and says why,", () => {
    const refused = async (files: Record<string, string>, options = ""): Promise<Problem> => {
      const code = `import { App } from "athanor"; const app = new App("faulty"); export const api = app.asgi("main:app", { packages: ["starlette>=1"]${options} });`;
      await using project = await makeProject({ "app.ts": code, ...files });
      return server.api.json("POST", "/v1/deployments", await project.build(), 422);
    };

    it("an app that cannot be imported", async () => {
      const { code, detail } = await refused({ "main.py": "import os\n\nimport no_such_module\n\napp = None\n" });
      assert.equal(code, "import_failed");
      assert.match(
        detail,
        /api \(main:app\) could not start: ModuleNotFoundError: No module named 'no_such_module' \(main\.py:3\)/,
      );
      const broken = await refused({ "main.py": "app = (\n" });
      assert.match(broken.detail, /SyntaxError: '\(' was never closed \(main\.py:1\)/);
    });

    it("a startup that fails", async () => {
      const { code, detail } = await refused({
        "main.py": `from contextlib import asynccontextmanager

from starlette.applications import Starlette


@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("no database")
    yield


app = Starlette(lifespan=lifespan)
`,
      });
      assert.equal(code, "import_failed");
      assert.match(detail, /could not start: RuntimeError: no database/);
    });

    it("a WSGI app that cannot be imported, and one that is not ready in time", async () => {
      await using project = await makeProject({
        "app.ts": `import { App } from "athanor"; const app = new App("faulty");
          export const web = app.wsgi("main:app", { dir: "broken", workers: 2 });`,
        "broken/main.py": "app = 1 / 0\n",
        "late.ts": `import { App } from "athanor"; const app = new App("faulty");
          export const web = app.wsgi("main:app", { dir: "late", workers: 2, startupTimeoutS: 1 });`,
        "late/main.py": "import threading\n\nthreading.Event().wait()\napp = None\n",
      });
      const broken: Problem = await server.api.json("POST", "/v1/deployments", await project.build(), 422);
      assert.match(
        broken.detail,
        /web \(main:app\) could not start: ZeroDivisionError: division by zero \(main\.py:1\)/,
      );
      const late: Problem = await server.api.json("POST", "/v1/deployments", await project.build("late.ts"), 422);
      assert.match(late.detail, /after startupTimeoutS, 1 s, web \(main:app\) was still starting/);
    });

    it("one that ends by itself, with its last words", async () => {
      const { detail } = await refused({
        "main.py": "import os, sys\nprint('farewell', file=sys.stderr, flush=True)\nos._exit(7)\napp = 1\n",
      });
      assert.match(detail, /api \(main:app\) ended with status 7 as it started\nfarewell/);
    });

    it("requirements that cannot be had", async () => {
      const problem = await refused({ "main.py": "app = 1\n", "requirements.txt": "starlette==0.0.0.1\n" });
      assert.equal(problem.code, "dependency_install_failed");
      assert.match(problem.detail, /starlette/);
      assert.match(problem.hint, /uv pip install/);
    });

    it("a Python that is not there", async () => {
      const { code, detail } = await refused({ "main.py": "app = 1\n" }, ', pythonVersion: "3.99"');
      assert.deepEqual([code, /needs Python 3\.99/.test(detail)], ["python_not_found", true]);
    });
  });
});
