import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AthanorError } from "../../src/protocol/errors.ts";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import type { JobAnswer, StartingReplica } from "../../src/server/replicas/session.ts";
import { placement } from "../harness/specs.ts";
import { bodyOf, listen, openJob, params, ReplicaHarness } from "./harness.ts";

const TEXT = { type: "string" } as const;
const IMAGE = { "x-athanor-type": "image" } as const;
/** 1 by 1 pixels. */
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

function errorOf(answer: JobAnswer) {
  assert.equal(answer.type, "error", JSON.stringify(answer));
  return (answer as Extract<JobAnswer, { type: "error" }>).error;
}

function lostOf(answer: JobAnswer) {
  assert.equal(answer.type, "lost", JSON.stringify(answer));
  return answer as Extract<JobAnswer, { type: "lost" }>;
}

describe("a replica", { timeout: 120_000 }, () => {
  let harness: ReplicaHarness;
  before(async () => {
    harness = await ReplicaHarness.start();
  });
  after(async () => {
    await harness[Symbol.asyncDispose]();
  });

  /** A replica of functions that all take nothing, or what `specs` says of them. */
  function replica(code: string, specs: { [name: string]: Partial<FunctionSpec> }): Promise<StartingReplica> {
    const functions = Object.entries(specs).map(([name, spec]) => ({ name, ...spec }));
    return harness.replica({ code, functions });
  }

  describe("serves", () => {
    let session: StartingReplica;
    before(async () => {
      const code = `
        fn("hello", () => ({ message: "hello" }));
        fn("boom", () => { throw new TypeError("secret") });
        fn("wrong", () => ({ n: "no number" }));
        fn("greet", (name) => "hello " + name);
        fn("raw", async (request) => new Response(request.body, { status: 201, headers: [["x-method", request.method], ["set-cookie", "a=1"], ["set-cookie", "b=2"]] }));
        fn("slurp", async (request) => (await request.arrayBuffer()).byteLength);
        fn("picture", () => ImageFile.fromBase64("${PNG.toString("base64")}", { fileName: "dot.png" }));
        fn("count", async function* () { for (let i = 0; i < 3; i++) yield { i } });
        fn("halfway", async function* () { yield 1; throw new Error("halfway") });
        fn("aborted", (context) => new Promise((_, reject) => { console.log("waiting"); context.signal.addEventListener("abort", () => { console.log("aborted: " + context.signal.reason.message); reject(context.signal.reason) }) }));
      `;
      session = await replica(code, {
        hello: {},
        boom: {},
        wrong: {
          output: { schema: { type: "object", properties: { n: { type: "number" } } }, stream: false, standard: false },
        },
        greet: { input: params({ name: TEXT }) },
        raw: {
          input: { mode: "request", params: [{ name: "request", inject: "request", optional: false, rest: false }] },
        },
        slurp: {
          input: { mode: "request", params: [{ name: "request", inject: "request", optional: false, rest: false }] },
        },
        picture: { output: { schema: null, stream: false, standard: false } },
        count: { output: { schema: null, stream: true, standard: false } },
        halfway: { output: { schema: null, stream: true, standard: false } },
        aborted: { input: params({ context: "context" }) },
      });
    });
    after(() => session.kill());

    async function call(
      fn: string,
      p: Parameters<ReplicaHarness["openHttp"]>[1] = {},
      body: Iterable<Uint8Array> | null = null,
    ) {
      const input =
        body === null
          ? null
          : (async function* () {
              yield* body;
            })();
      const http = session.openHttp(harness.openHttp(fn, { hasBody: body !== null, ...p }), input);
      const head = await http.head;
      const bytes = await bodyOf(http.body);
      return { status: head.status, headers: new Map(head.headers), all: head.headers, bytes, text: bytes.toString() };
    }

    it("JSON", async () => {
      const answer = await call("hello");
      assert.deepEqual([answer.status, answer.text], [200, '{"message":"hello"}']);
      assert.equal(answer.headers.get("content-length"), "19");
    });

    it("HEAD with the head alone", async () => {
      const answer = await call("hello", { method: "HEAD" });
      assert.deepEqual([answer.status, answer.text, answer.headers.get("content-length")], [200, "", "19"]);
    });

    it("parameters, and says what is wrong with them", async () => {
      const right = await call("greet", { url: "http://127.0.0.1/demo/greet?name=you" });
      assert.equal(right.text, '"hello you"');
      const wrong = await call("greet");
      assert.equal(wrong.status, 422);
      assert.equal(JSON.parse(wrong.text).code, "input_invalid");
      const broken = await call("greet", { method: "POST", headers: [["content-type", "application/json"]] }, [
        Buffer.from("{nope"),
      ]);
      assert.equal(JSON.parse(broken.text).code, "malformed_json");
    });

    it("what the code did wrong as a 500 that says nothing of it, and a log that does", async () => {
      const lines: string[] = [];
      session.onLog((line) => lines.push(line.line));
      const thrown = await call("boom");
      assert.equal(thrown.status, 500);
      assert.equal(JSON.parse(thrown.text).code, "handler_error");
      assert.doesNotMatch(thrown.text, /secret|bundle/);
      assert.match(lines.join("\n"), /TypeError: secret\n {4}at /);
      const wrong = await call("wrong");
      assert.equal(JSON.parse(wrong.text).code, "output_invalid");
      assert.match(lines.join("\n"), /output_invalid: .*\/n/);
    });

    it("a Response as it is", async () => {
      const answer = await call("raw", { method: "POST" }, [Buffer.from("ping"), Buffer.from("pong")]);
      assert.deepEqual([answer.status, answer.text, answer.headers.get("x-method")], [201, "pingpong", "POST"]);
      assert.deepEqual(
        answer.all.filter(([name]) => name === "set-cookie").map(([, value]) => value),
        ["a=1", "b=2"],
      );
    });

    it("bodies far larger than a window, both ways at once", async () => {
      const piece = randomBytes(1024 * 1024);
      const pieces = Array.from({ length: 20 }, () => piece);
      const answer = await call("raw", { method: "POST" }, pieces);
      assert.ok(answer.bytes.equals(Buffer.concat(pieces)));
    });

    it("a body no further than its limit", async () => {
      const pieces = Array.from({ length: 8 }, () => Buffer.alloc(64 * 1024));
      const answer = await call("slurp", { method: "POST", maxBodyBytes: 100_000 }, pieces);
      assert.notEqual(answer.status, 200);
    });

    it("an image as JSON, or as its bytes and ranges of them", async () => {
      const json = JSON.parse((await call("picture")).text);
      assert.deepEqual(json, {
        file_name: "dot.png",
        content_type: "image/png",
        content: PNG.toString("base64"),
        url: null,
      });
      const bytes = await call("picture", { headers: [["accept", "image/*"]] });
      assert.ok(bytes.bytes.equals(PNG));
      assert.equal(bytes.headers.get("content-type"), "image/png");
      const part = await call("picture", {
        headers: [
          ["accept", "image/*"],
          ["range", "bytes=1-3"],
        ],
      });
      assert.deepEqual(
        [part.status, part.text, part.headers.get("content-range")],
        [206, "PNG", `bytes 1-3/${PNG.length}`],
      );
    });

    it("a generator as lines of JSON, or as server-sent events", async () => {
      const lines = await call("count");
      assert.deepEqual(
        [lines.headers.get("content-type"), lines.text],
        ["application/x-ndjson", '{"i":0}\n{"i":1}\n{"i":2}\n'],
      );
      const events = await call("count", { headers: [["accept", "text/event-stream"]] });
      assert.match(events.text, /^data: \{"i":0\}\n\n.*event: end\ndata: null\n\n$/s);
    });

    it("a generator that throws as an answer that breaks off", async () => {
      const http = session.openHttp(harness.openHttp("halfway"), null);
      assert.equal((await http.head).status, 200);
      await assert.rejects(bodyOf(http.body), /halfway threw/);
      await http.closed;
    });

    it("a client that leaves by aborting the signal", async () => {
      const lines = listen();
      const waiting = Promise.withResolvers<void>();
      const http = session.openHttp(harness.openHttp("aborted"), null, {
        log(line) {
          lines.log(line);
          waiting.resolve();
        },
      });
      await waiting.promise;
      http.cancel("disconnected");
      await assert.rejects(http.head, (error: AthanorError) => error.code === "cancelled");
      await http.closed;
      assert.deepEqual(lines.text(), ["waiting", "aborted: the client disconnected"]);
      assert.equal(session.requests, 0);
    });
  });

  describe("runs jobs", () => {
    it("with progress, logs, chunks and a result", async () => {
      const code = `
        fn("work", async (progress, context, text) => { progress.setStatus(0.5, "half"); context.log("working", { on: text }); process.stdout.write("no newline"); return [text, context.jobId, context.attempt] });
        fn("chunks", async function* () { for (let i = 0; i < 5; i++) yield "x".repeat(400000) + i });
        fn("size", async (image) => { const bytes = await image.bytes(); return [bytes.length, image] });
      `;
      const session = await replica(code, {
        work: { input: params({ progress: "progress", context: "context", text: TEXT }) },
        chunks: { output: { schema: TEXT, stream: true, standard: false } },
        size: { input: params({ image: IMAGE }) },
      });
      const on = listen();
      const answer = await session.openJob(openJob("work", { text: "it" }, { jobId: "jobs:7", attempt: 3 }), [], on)
        .answer;
      assert.deepEqual(answer, { type: "result", value: ["it", "jobs:7", 3], media: [] });
      assert.deepEqual(on.progressed, [[0.5, "half"]]);
      assert.deepEqual(on.text(), ["working { on: 'it' }", "no newline"]);

      // The listener holds each chunk for a while: the generator waits, and none is lost.
      const slow = listen();
      const chunk = async (message: { value: unknown }) => {
        slow.chunks.push(message.value);
        await new Promise(setImmediate);
      };
      await session.openJob(openJob("chunks"), [], { ...slow, chunk }).answer;
      assert.deepEqual(
        slow.chunks.map((text) => (text as string).slice(-1)),
        ["0", "1", "2", "3", "4"],
      );

      const ref = { $media: 0, file_name: "dot.png", content_type: "image/png" };
      const sized = await session.openJob(openJob("size", { image: ref }, { media: [{ size: PNG.length }] }), [PNG], on)
        .answer;
      assert.equal(sized.type, "result");
      if (sized.type === "result") {
        assert.deepEqual(sized.value, [PNG.length, ref]);
        assert.ok(Buffer.from(sized.media[0] as Uint8Array).equals(PNG));
      }
      await session.kill();
    });

    it("and tells anything that is thrown", async () => {
      const code = `
        fn("text", () => { throw "just text" });
        fn("nothing", () => { throw undefined });
        fn("nasty", () => { throw { get message() { throw 1 }, get stack() { throw 2 }, get name() { throw 3 } } });
        fn("huge", () => { throw new Error("x".repeat(10_000_000)) });
        fn("final", () => { throw Object.assign(new RangeError("never again"), { retryable: false }) });
        fn("map", () => new Map());
        fn("giant", () => "x".repeat(20_000_000));
      `;
      const names = ["text", "nothing", "nasty", "huge", "final", "map", "giant"];
      const session = await replica(code, Object.fromEntries(names.map((name) => [name, {}])));
      const run = (name: string) => session.openJob(openJob(name), [], listen()).answer;
      assert.equal(errorOf(await run("text")).message, "just text");
      assert.match(errorOf(await run("nothing")).message, /no Error/);
      assert.equal(errorOf(await run("nasty")).code, "handler_error");
      assert.ok(errorOf(await run("huge")).message.length < 10_000);
      const final = await run("final");
      assert.deepEqual(final.type === "error" && [final.retryable, final.error.message], [
        false,
        "RangeError: never again",
      ]);
      assert.equal(errorOf(await run("map")).code, "output_invalid");
      assert.equal(errorOf(await run("giant")).code, "output_invalid");
      await session.kill();
    });

    it("several at a time, whose lines are not mixed", async () => {
      const code = `fn("say", async (name) => { for (let i = 0; i < 50; i++) { process.stdout.write(name); await new Promise(setImmediate); console.log(" " + i) } setTimeout(() => console.log(name + " late"), 1).unref(); });`;
      const session = await replica(code, { say: { input: params({ name: TEXT }) } });
      const heard = ["a", "b", "c"].map((name) => ({ name, on: listen() }));
      const answers = heard.map(({ name, on }) => session.openJob(openJob("say", { name }), [], on).answer);
      assert.equal(session.jobs, 3);
      await Promise.all(answers);
      for (const { name, on } of heard)
        assert.deepEqual(
          on.text(),
          Array.from({ length: 50 }, (_, i) => `${name} ${i}`),
        );
      await session.kill();
    });

    it("and cancels them", async () => {
      const code = `fn("wait", (context) => new Promise((_, reject) => { console.log("on"); context.signal.addEventListener("abort", () => reject(context.signal.reason)) }));`;
      const session = await replica(code, { wait: { input: params({ context: "context" }) } });
      const started = Promise.withResolvers<void>();
      const job = session.openJob(openJob("wait"), [], { ...listen(), log: () => started.resolve() });
      await started.promise;
      job.cancel("timeout");
      assert.equal(errorOf(await job.answer).code, "timeout");
      await session.kill();
    });

    it("and keeps the newest lines of a flood of 100 MB", async () => {
      const code = `fn("flood", () => { const line = "x".repeat(99); for (let i = 0; i < 1_000_000; i++) process.stdout.write(line + "\\n"); console.log("last words"); return "done" });`;
      const session = await replica(code, { flood: {} });
      const on = listen();
      const answer = await session.openJob(openJob("flood", {}, { eventsWindow: 100 }), [], on).answer;
      assert.equal(answer.type, "result");
      // The first lines of a turn are sent at once; of the rest the window is kept, and its first says what is missing.
      assert.equal(on.lines.length, 16 + 100);
      assert.equal(on.lines[16]?.dropped, 1_000_001 - 16 - 100);
      assert.equal(on.text().at(-1), "last words");
      const exit = await session.kill();
      assert.ok((exit.memoryMb ?? 0) < 400, `${exit.memoryMb} MiB`);
    });

    it("and hears what their subprocesses write", async () => {
      const code = `import { spawnSync } from "node:child_process"; fn("sub", (context) => { spawnSync("/bin/sh", ["-c", "echo from the shell; echo problem >&2"], { stdio: "inherit" }); return new Promise((resolve) => context.signal.addEventListener("abort", () => resolve("heard"))) });`;
      const session = await replica(code, { sub: { input: params({ context: "context" }) } });
      const on = listen();
      const both = Promise.withResolvers<void>();
      const job = session.openJob(openJob("sub"), [], {
        ...on,
        log(line) {
          on.log(line);
          if (on.lines.length === 2) both.resolve();
        },
      });
      await both.promise;
      job.cancel("cancelled");
      assert.deepEqual(on.text().sort(), ["from the shell", "problem"]);
      assert.equal((await job.answer).type, "result");
      await session.kill();
    });
  });

  describe("dies", () => {
    const STEADY = `fn("steady", () => new Promise(() => { console.log("on") }));`;

    it("with an endless loop when it is killed", async () => {
      const session = await replica(`fn("spin", () => { for (;;); });`, { spin: {} });
      const job = session.openJob(openJob("spin"), [], listen());
      job.cancel("timeout");
      const exit = await session.kill();
      assert.deepEqual([exit.signal, exit.reason], ["SIGKILL", "stopped"]);
      assert.equal(lostOf(await job.answer).blameless, false);
    });

    it("of process.exit, with the code and the last lines of stderr", async () => {
      const session = await replica(`fn("leave", () => { console.error("goodbye"); process.exit(7) });`, { leave: {} });
      const on = listen();
      const { exit, blameless } = lostOf(await session.openJob(openJob("leave"), [], on).answer);
      assert.deepEqual([exit.code, exit.reason, exit.lastStderr, blameless], [7, "self", ["goodbye"], false]);
      assert.deepEqual(on.text(), ["goodbye"]);
      assert.equal(session.state, "ended");
      assert.throws(() => session.openJob(openJob("leave"), [], on), AthanorError);
    });

    it("of too much memory", async () => {
      const functions = { placement: placement(150) };
      const session = await replica(
        `fn("eat", async () => { const held = []; for (;;) { held.push(Buffer.alloc(4e6, 1)); await new Promise(setImmediate) } });`,
        { eat: functions },
      );
      const { exit } = lostOf(await session.openJob(openJob("eat"), [], listen()).answer);
      assert.equal(exit.reason, "memory");
      assert.ok((exit.memoryMb ?? 0) > 150);
    });

    it("of a full V8 heap, which is too much memory too", async () => {
      const session = await replica(
        `import v8 from "node:v8"; v8.setFlagsFromString("--max-heap-size=60"); fn("eat", () => { const held = []; for (;;) held.push({ a: [1, 2, 3] }) });`,
        { eat: {} },
      );
      const { exit } = lostOf(await session.openJob(openJob("eat"), [], listen()).answer);
      assert.equal(exit.reason, "memory", JSON.stringify(exit));
    });

    for (const [how, code] of Object.entries({
      "an exception in a timer": `setTimeout(() => { throw new Error("out of band") }, 1)`,
      "a rejection that no one handles": `void Promise.reject(new Error("out of band"))`,
    })) {
      it(`of ${how}: the job that did it fails with it, others are not to blame`, async () => {
        const session = await replica(`${STEADY} fn("culprit", () => { ${code}; return new Promise(() => {}) });`, {
          steady: {},
          culprit: {},
        });
        const innocent = session.openJob(openJob("steady"), [], listen()).answer;
        const culprit = await session.openJob(openJob("culprit"), [], listen()).answer;
        const error = errorOf(culprit);
        assert.equal(error.message, "out of band");
        assert.match(error.stack ?? "", /bundle\.mjs/);
        const { exit, blameless } = lostOf(await innocent);
        assert.deepEqual([exit.code, exit.reason, blameless], [1, "self", true]);
        assert.match(exit.lastStderr.join("\n"), /Error: out of band/);
      });
    }

    it("under an HTTP call: the head rejects, or the body breaks off", async () => {
      const code = `
        fn("before", () => process.exit(3));
        fn("during", () => new Response(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([65])) }, pull() { return new Promise(() => {}) } })));
      `;
      const session = await replica(code, { before: {}, during: {} });
      const during = session.openHttp(harness.openHttp("during"), null);
      assert.equal((await during.head).status, 200);
      const before = session.openHttp(harness.openHttp("before"), null);
      await assert.rejects(
        before.head,
        (error: AthanorError) => error.code === "replica_crashed" && /code 3/.test(error.detail),
      );
      await assert.rejects(bodyOf(during.body), /code 3/);
      await Promise.all([before.closed, during.closed]);
    });

    it("last of all when it is drained: open calls end, exit hooks run", async () => {
      const code = `
        class Model { enter() { console.log("enter") } exit() { console.log("exit") } use() { return "used" } }
        const methods = app.function({}, { "athanor:site": { name: "use", codeName: "use", className: "Model" } });
        const context = (name) => ({ kind: "method", name, static: false, private: false, metadata: {} });
        methods(Model.prototype.use, context("use"));
        app.enter({ "athanor:site": { name: "enter", codeName: "enter", className: "Model" } })(Model.prototype.enter, context("enter"));
        app.exit({ "athanor:site": { name: "exit", codeName: "exit", className: "Model" } })(Model.prototype.exit, context("exit"));
        globalThis[Symbol.for("athanor.registry")].classes.set("Model", Model);
        fn("slow", async () => { console.log("on"); await new Promise((resolve) => setTimeout(resolve, 50)); return "finished" });
      `;
      const deployment = await harness.deploy({
        code,
        functions: [{ name: "use", className: "Model" }, { name: "slow" }],
      });
      const session = harness.startReplica(deployment);
      const lines: string[] = [];
      session.onLog((line) => lines.push(line.line));
      await session.ready;
      const used = await session.openJob(openJob("use"), [], listen()).answer;
      assert.deepEqual(used, { type: "result", value: "used", media: [] });
      const slow = session.openJob(openJob("slow"), [], listen());
      const drained = session.drain();
      assert.equal(session.state, "draining");
      assert.throws(() => session.openJob(openJob("use"), [], listen()), AthanorError);
      assert.deepEqual(await slow.answer, { type: "result", value: "finished", media: [] });
      assert.deepEqual((await drained).reason, "stopped");
      assert.deepEqual(lines, ["enter", "on", "exit"]);
    });
  });

  describe("does not start", () => {
    const failure = async (code: string, name = "f"): Promise<AthanorError> => {
      const session = harness.startReplica(await harness.deploy({ code, functions: [{ name }] }));
      const error = await session.ready.then(
        () => assert.fail("it is ready"),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof AthanorError);
      await session.ended;
      return error;
    };

    it("where the bundle throws, and names the place in the user's own file", async () => {
      // Line 3, column 5 of the bundle is line 12, column 9 of app.ts.
      const map = { version: 3, sources: ["app.ts"], names: [], mappings: ";;IAWQ" };
      const deployment = await harness.deploy({
        code: `\n    throw new Error("at import");`,
        functions: [{ name: "f" }],
        map,
      });
      const session = harness.startReplica(deployment);
      await assert.rejects(session.ready, (error: AthanorError) => {
        assert.equal(error.code, "import_failed");
        assert.match(error.detail, /^at import \(app\.ts:12:\d+\)$/);
        assert.match(String(error.cause), /at app\.ts:12:\d+/);
        assert.doesNotMatch(String(error.cause), /runtime|node:internal/);
        return true;
      });
      await session.ended;
    });

    it("where it exits, lacks the function, or breaks out of band", async () => {
      assert.match((await failure("process.exit(4)")).detail, /exited with code 4/);
      assert.equal((await failure(`fn("other", () => 1);`)).code, "import_failed");
      assert.equal(
        (await failure(`setTimeout(() => { throw new Error("later") }, 1); await new Promise(() => {});`)).code,
        "startup_failed",
      );
      assert.equal((await failure("syntax error here")).code, "import_failed");
    });
  });

  it("sees its own folder and environment, and none of the server's", async () => {
    process.env.SERVER_SECRET = "do not pass on";
    const code = `fn("look", () => ({ env: { ...process.env }, cwd: process.cwd(), argv: process.argv.length }));`;
    const session = await harness.replica({
      code,
      functions: [{ name: "look", placement: { ...placement(1024), env: { DECLARED: "yes" } } }],
    });
    const answer = await session.openJob(openJob("look"), [], listen()).answer;
    assert.equal(answer.type, "result");
    const { env, cwd } = (answer as unknown as { value: { env: Record<string, string>; cwd: string } }).value;
    assert.equal(env.DECLARED, "yes");
    assert.equal(env.HOME, cwd);
    assert.ok(cwd.startsWith(join(harness.dir, "replicas")));
    for (const name of Object.keys(env))
      assert.ok(["PATH", "HOME", "TMPDIR", "LANG", "TZ", "DECLARED"].includes(name), name);
    const cmdline = await readFile(`/proc/${session.pid}/cmdline`, "utf8").catch(() => "");
    assert.doesNotMatch(cmdline, /token/i);
    await session.kill();
    delete process.env.SERVER_SECRET;
  });

  it("is let in by its token alone", async () => {
    const socket = connect(join(harness.dir, "s"));
    const hello = Buffer.from(JSON.stringify({ token: "x".repeat(43), pid: 1 }));
    const header = Buffer.from([0, 0, 0, hello.length + 5, 1, 0, 0, 0, 0]);
    socket.end(Buffer.concat([header, hello]));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.resume();
    await closed;
    assert.ok(harness.warnings.length > 0);
  });
});
