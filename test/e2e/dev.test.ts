/** `athanor dev`, as a process of its own: edits, errors, keys, logs, the debugger, and that nothing is left of it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { processesWithEnv } from "../../src/engines/process-table.ts";
import { noPython, uvSettings } from "../harness/python.ts";
import { CliRun } from "./cli-process.ts";
import { DevRun } from "./dev-run.ts";

const APP = `import { App } from "athanor";
import { greeting } from "./lib/greeting.ts";
const app = new App("demo");
export const greet = app.endpoint("/greet", (name: string) => {
  console.log("greets " + name);
  return { text: greeting(name) };
});
export const work = app.function((text: string) => {
  console.error("works on " + text);
  return text.length;
});
`;
const GREETING = 'export const greeting = (name: string): string => "Hello, " + name;\n';

describe("athanor dev", () => {
  let dir: string;
  let runs: AsyncDisposable[];

  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), text);
  };
  const start = (...args: string[]): DevRun => {
    const run = new DevRun(["dev", path.join(dir, "app.ts"), "--port", "0", ...args], dir);
    runs.push(run);
    return run;
  };

  beforeEach(async () => {
    dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-dev-")));
    runs = [];
    await write("package.json", '{ "type": "module" }');
    await write("app.ts", APP);
    await write("lib/greeting.ts", GREETING);
  });
  afterEach(async () => {
    for (const run of runs) await run[Symbol.asyncDispose]();
    await rm(dir, { recursive: true, force: true });
  });

  it("serves an edit of a Python app, and a file that is new", { skip: noPython }, async () => {
    const main = (text: string): string => `def app(environ, start):\n    start("200 OK", [])\n    return [${text}]\n`;
    // Whatever is beside the entry file ships: the temporary files are elsewhere.
    await write(
      "py/app.ts",
      'import { App } from "athanor"; const app = new App("demo"); export const web = app.wsgi("main:app");',
    );
    await write("py/main.py", main('b"first"'));
    const dev = new DevRun(["dev", path.join(dir, "py/app.ts"), "--port", "0", "--json"], dir, { env: uvSettings() });
    runs.push(dev);
    const { url } = await dev.event("ready");
    await dev.event("deployed");
    const answer = async () => (await fetch(`${url}/demo/web`)).text();
    assert.equal(await answer(), "first");
    await write("py/main.py", `import words\n\n${main("words.second")}`);
    assert.match((await dev.event("failed")).problem.detail, /No module named 'words' \(main\.py:1\)/);
    assert.equal(await answer(), "first");
    await write("py/words.py", 'second = b"second"\n');
    await dev.event("deployed");
    assert.equal(await answer(), "second");
  });

  it("serves an edit, keeps the last good version through an error, recovers, and leaves nothing", async () => {
    const dev = start("--json");
    const { url, data_dir } = await dev.event("ready");
    assert.equal(data_dir, path.join(dir, ".athanor"));
    assert.equal(await readFile(path.join(dir, ".athanor/.gitignore"), "utf8"), "*\n");
    assert.equal((await dev.event("deployed")).deployment.deployment_id, "deployments:1");
    const greet = async () => (await fetch(`${url}/demo/greet`, jsonBody({ name: "Ada" }))).json();
    assert.deepEqual(await greet(), { text: "Hello, Ada" });

    // As editors do that put a new file in the old one's place.
    await write("lib/greeting.ts~", GREETING.replace("Hello", "Good day"));
    await rename(path.join(dir, "lib/greeting.ts~"), path.join(dir, "lib/greeting.ts"));
    assert.deepEqual((await dev.event("building", ({ changed }) => changed.length > 0)).changed, [
      path.join(dir, "lib/greeting.ts"),
    ]);
    await dev.event("deployed");
    assert.deepEqual(await greet(), { text: "Good day, Ada" });

    await write("app.ts", APP.replace("(name: string) => {", "(name: () => void) => {"));
    const { problem, places } = await dev.event("failed");
    assert.equal(problem.code, "type_not_serialisable");
    assert.deepEqual([places[0].file, places[0].line, places[0].column], ["app.ts", 4, 46]);
    assert.deepEqual(await greet(), { text: "Good day, Ada" });

    await write("app.ts", 'throw new Error("at the start");\n');
    assert.equal((await dev.event("failed")).problem.code, "import_failed");
    assert.deepEqual(await greet(), { text: "Good day, Ada" });

    await write("app.ts", APP);
    await dev.event("unchanged");
    await write("app.ts", APP.replace("text: greeting", "said: greeting"));
    await dev.event("deployed");
    assert.deepEqual(await greet(), { said: "Good day, Ada" });

    dev.signal("SIGTERM");
    assert.equal((await dev.ended).status, 0);
    await dev.event("stopped");
    assert.deepEqual(await processesWithEnv(`HOME=${path.join(dir, ".athanor/replicas")}`), []);
  });

  it("keeps watching where the first build fails, also for a file that is missing", async () => {
    await rm(path.join(dir, "lib"), { recursive: true });
    const dev = start("--json");
    const { problem } = await dev.event("failed");
    assert.equal(problem.code, "build_failed");
    assert.match(problem.detail, /^app\.ts:6: greet: /);
    await write("lib/greeting.ts", GREETING);
    assert.equal((await dev.event("deployed")).deployment.app, "demo");
  });

  it("finds its data again, says who holds it, and is found by the other commands", async () => {
    const first = start("--json");
    const { url, pid } = await first.event("ready");
    await first.event("deployed");
    const second = start();
    const { status, stderr } = await second.ended;
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^Data folder in use: .*pid ${pid} at ${url}`));

    const env = { ATHANOR_DATA: "" };
    const ran = await new CliRun(["run", "work", "--app-name", "demo", "--payload", '{"args":["four"]}', "--json"], {
      env,
      cwd: path.join(dir, "lib"),
    }).ended;
    assert.equal(ran.status, 0, ran.stderr);
    assert.equal((await first.event("log", ({ line }) => line === "works on four")).function, "work");

    first.signal("SIGINT");
    assert.equal((await first.ended).status, 0);
    const again = start("--json");
    assert.equal((await again.event("unchanged")).deployment.deployment_id, "deployments:1");
    const jobs = await fetch(`${(await again.event("ready")).url}/v1/jobs`, {
      headers: { authorization: `Bearer ${(await readFile(path.join(dir, ".athanor/token"), "utf8")).trim()}` },
    });
    assert.equal(((await jobs.json()) as { items: unknown[] }).items.length, 1);
  });

  it("is for people otherwise: addresses, the place of an error, lines of the functions, no colours in a pipe", async () => {
    const dev = start();
    const url = (await dev.until("stdout", /Athanor dev at (http:\S+)/))[1];
    await dev.until("stdout", /Deployed demo as deployments:1 in \d+ ms/);
    await dev.until("stdout", /greet +POST +at once +http:\S+\/demo\/greet/);
    await fetch(`${url}/demo/greet`, jsonBody({ name: "Ada" }));
    await dev.until("stdout", /\ngreet \| greets Ada\n/);
    await write("lib/greeting.ts", GREETING.replace('"Hello, "', '"Hello, " ++'));
    const frame = await dev.until(
      "stdout",
      /\nlib\/greeting\.ts:1:\d+\n> 1 \| export.*\n +\| +\^\n(?: +\d \|.*\n)*\ndeployments:1 stays live/,
    );
    assert.ok(!frame.input.includes("\u001b["), "no colours in a pipe");
    dev.signal("SIGTERM");
    assert.equal((await dev.ended).status, 0);
  });

  it("takes the next port where the usual one is taken, and refuses one that is asked for", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const { port } = server.address() as { port: number };
      const dev = new DevRun(["dev", path.join(dir, "app.ts"), "--port", String(port)], dir);
      runs.push(dev);
      const { status, stderr } = await dev.ended;
      assert.equal(status, 2);
      assert.match(stderr, /EADDRINUSE/);
    } finally {
      server.close();
    }
    const missing = new DevRun(["dev", path.join(dir, "nothing.ts")], dir);
    runs.push(missing);
    assert.match((await missing.ended).stderr, /^Bad usage: .*nothing\.ts is no file/);
  });

  it("opens a debugger in the replicas of the function that is asked for, and gives it no time limit", async () => {
    await write("app.ts", APP.replace('"/greet", ', '"/greet", { timeoutS: 1 }, '));
    const dev = start("--json", "--inspect", "greet");
    const { url } = await dev.event("ready");
    const inspector = await dev.event("inspector");
    assert.equal(inspector.function, "greet");
    const { host } = new URL(inspector.url);
    const [target] = (await (await fetch(`http://${host}/json`)).json()) as { webSocketDebuggerUrl: string }[];
    assert.equal(target?.webSocketDebuggerUrl, inspector.url);
    await dev.event("deployed");
    const answer = await pausedFor(inspector.url, 1500, () => fetch(`${url}/demo/greet`, jsonBody({ name: "Ada" })));
    assert.equal(answer.status, 200);
  });

  it("says where the function that is to be debugged is not there", async () => {
    const dev = start("--json", "--inspect", "greets");
    assert.equal((await dev.event("failed")).problem.code, "function_not_found");
  });

  it("takes keys on a terminal: r deploys again, q ends it with all that it runs", async (t) => {
    if (spawnSync("script", ["--version"]).status !== 0) return t.skip("there is no `script`, which makes a terminal");
    const dev = new DevRun(["dev", path.join(dir, "app.ts"), "--port", "0"], dir, { terminal: true });
    runs.push(dev);
    await dev.until("stdout", /r deploys again, q stops/);
    await dev.until("stdout", /deployments:1/);
    await dev.until("stdout", /docs: /);
    dev.type("r");
    await dev.until("stdout", /deployments:2/);
    dev.type("q");
    assert.equal((await dev.ended).status, 0);
    assert.match(dev.stdout, /Stopped\./);
    assert.deepEqual(await processesWithEnv(`HOME=${path.join(dir, ".athanor/replicas")}`), []);
    assert.deepEqual(await readdir(path.join(dir, ".athanor/replicas")), []);
  });
});

function jsonBody(body: object): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** Stops the program by its debugger once the call is under way, and lets it go on after the time. */
async function pausedFor(debuggerUrl: string, ms: number, call: () => Promise<Response>): Promise<Response> {
  const socket = new WebSocket(debuggerUrl);
  await once(socket, "open");
  const paused = new Promise<void>((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      if (JSON.parse(String(data)).method === "Debugger.paused") resolve();
    });
  });
  const send = (id: number, method: string): void => socket.send(JSON.stringify({ id, method }));
  send(1, "Debugger.enable");
  send(2, "Debugger.pause");
  const answer = call();
  await paused;
  // What is tried is that a second and a half at a breakpoint is not held against a limit of one.
  await new Promise((resolve) => setTimeout(resolve, ms));
  send(3, "Debugger.resume");
  try {
    return await answer;
  } finally {
    socket.close();
  }
}
