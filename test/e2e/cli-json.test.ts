/** --json of every command: one JSON document on stdout (a line each where there are many), and nothing else there. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../src/cli/commands/index.ts";
import { CliRun, temporaryFolder } from "./cli-process.ts";

const APP = fileURLToPath(new URL("./fixtures/cli/app.ts", import.meta.url));

const folder = await temporaryFolder();
const data = join(folder.path, "data");
const env = { ATHANOR_DATA: data };
let server: CliRun;
let url: string;

before(async () => {
  server = new CliRun(["up", "--port", "0", "--data", data, "--log-level", "silent", "--json"], { env: {} });
  url = (await server.until("stdout", /"url": ?"(http:[^"]+)"/))[1] ?? "";
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const athanor = (...args: string[]) => new CliRun(args, { env, cwd: folder.path }).ended;

/** Of each command that was run with --json. */
/** What runs until it is stopped: `up` is tried by `before`, `dev` in dev.test.ts. */
const tried = new Set<string>(["up", "dev"]);

async function document(command: string, args: string[], status = 0): Promise<Record<string, unknown>> {
  tried.add(command);
  const ended = await athanor(...command.split(" "), ...args, "--json");
  assert.equal(ended.status, status, `${command}: ${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

async function documents(command: string, args: string[]): Promise<Record<string, unknown>[]> {
  tried.add(command);
  const ended = await athanor(...command.split(" "), ...args, "--json");
  assert.equal(ended.status, 0, `${command}: ${ended.stderr}`);
  return ended.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** The one command that has no end of its own. */
async function liveEvents(): Promise<void> {
  tried.add("events");
  await using watching = new CliRun(["events", "--events", "job", "--app-name", "shop", "--json"], { env });
  await watching.until("stdout", /"server\.snapshot".*\n/);
  await document("run", ["work", "--app-name", "shop", "--payload", '{"args":["y"]}']);
  await watching.until("stdout", /"succeeded".*\n/);
  watching.signal("SIGINT");
  const { status, stdout } = await watching.ended;
  assert.equal(status, 130);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(new Set(events.map(({ event }) => event)), new Set(["server.snapshot", "job"]));
}

/** Schedules, and webhooks, which the command line only shows. */
async function timers(): Promise<void> {
  const nightly = ["nightly", "--app-name", "shop"];
  const { items } = (await document("schedule list", ["--app-name", "shop"])) as { items: Record<string, unknown>[] };
  assert.deepEqual(
    items.map((item) => [item.function, item.schedule, item.time_zone]),
    [["nightly", "30 2 * * *", "Europe/Berlin"]],
  );
  assert.equal((await document("schedule pause", nightly)).next_at, null);
  assert.ok((await document("schedule resume", nightly)).next_at);
  const { job_id: id } = await document("schedule trigger", nightly);
  assert.equal((await document("job show", [String(id)])).function, "nightly");

  const token = await readFile(join(data, "token"), "utf8");
  const response = await fetch(`${url}/v1/apps/shop/functions/work/jobs`, {
    method: "POST",
    headers: { authorization: `Bearer ${token.trim()}`, "content-type": "application/json" },
    body: JSON.stringify({
      args: ["x"],
      options: { delay_s: 60, webhook: { url: "https://hooks.invalid/a?b", secret: "s".repeat(16) } },
    }),
  });
  const job = (await response.json()) as { job_id: string };
  const webhook = await document("job webhook", [job.job_id]);
  assert.deepEqual([webhook.url, webhook.state, webhook.attempts], ["https://hooks.invalid/a?…", "waiting", 0]);
}

test("every command prints JSON where it is asked for it", async () => {
  const announced = JSON.parse(server.stdout);
  assert.deepEqual([announced.url, announced.data_dir], [url, data]);
  assert.ok(((await document("init", ["made"])).files as string[]).includes("app.ts"));
  assert.equal((await document("deploy", [APP])).unchanged, false);

  const run = await document("run", ["work", "--app-name", "shop", "--payload", '{"args":["x"]}']);
  assert.deepEqual([run.status, run.result], ["succeeded", { text: "x" }]);
  const id = String(run.job_id);
  const detached = await document("run", ["hang", "--app-name", "shop", "--detach"]);
  assert.match(String(detached.job_id), /^jobs:\d+$/);

  assert.equal((await document("job list", [])).next_cursor, null);
  assert.equal((await document("job show", [id])).status, "succeeded");
  assert.deepEqual(await document("job result", [id]), { text: "x" });
  const events = await documents("job watch", [id, "--snapshot", "--after", "0"]);
  assert.deepEqual([events[0]?.event, events.at(-1)?.event], ["job.snapshot", "job.end"]);
  const lines = await documents("job logs", [id]);
  assert.ok(lines.some((line) => JSON.stringify(line).includes("working on x")));
  assert.equal((await document("job cancel", [String(detached.job_id)])).job_id, detached.job_id);

  const target = ["work", "--app-name", "shop"];
  assert.equal((await document("queue pause", target)).paused, true);
  const queued = ["--detach", "--priority", "-5", "--delay", "60", "--key", "ann"];
  const waits = await document("run", [...target, "--payload", '{"args":["y"]}', ...queued]);
  assert.deepEqual([waits.priority, waits.concurrency_key], [-5, "ann"]);
  const queues = (await document("queue list", ["--app-name", "shop"])) as { items: Record<string, unknown>[] };
  assert.deepEqual(
    queues.items.filter((queue) => queue.function === "work").map(({ paused, queued }) => [paused, queued]),
    [[true, 1]],
  );
  const keys = await document("queue keys", target);
  assert.deepEqual(keys, { items: [{ key: "ann", queued: 1, running: 0, limit: 1 }], next_cursor: null });
  assert.equal((await document("job retry", [String(waits.job_id)])).job_id, waits.job_id);
  const cancelled = await document("job cancel", ["--app-name", "shop", "--status", "queued", "--key", "ann"]);
  assert.deepEqual(cancelled, { cancelled: 1, stopping: 0 });
  assert.equal((await document("queue resume", target)).paused, false);
  const again = await document("job replay", [id]);
  assert.equal(again.retry_of, id);

  await timers();

  const { items } = (await document("deployment list", [])) as { items: Record<string, unknown>[] };
  assert.equal(items[0]?.deployment_id, "deployments:1");
  assert.equal((await document("deployment show", ["1"])).status, "live");
  assert.equal((await document("deployment rollback", ["1"])).unchanged, true);
  const logs = await documents("deployment logs", ["1"]);
  assert.ok(logs.some(({ line }) => line === "working on x"));

  const apps = (await document("app list", [])) as { items: { app: string }[] };
  assert.deepEqual(
    apps.items.map(({ app }) => app),
    ["shop"],
  );
  assert.equal((await document("app show", ["shop"])).app, "shop");
  await liveEvents();
  assert.equal((await document("doctor", [])).ok, true);
  assert.deepEqual((await document("backup", ["shop.tar.gz"])).problems, []);
  assert.deepEqual((await document("restore", ["shop.tar.gz", "--data", "restored"])).problems, []);
  tried.add("app delete");
  const deleted = await athanor("app", "delete", "shop", "--yes", "--json");
  assert.equal(deleted.status, 0, deleted.stderr);
  assert.doesNotThrow(() => JSON.parse(deleted.stdout), deleted.stdout);

  assert.deepEqual(
    COMMANDS.map(({ name }) => name).filter((name) => !tried.has(name)),
    [],
    "every command is tried here",
  );
});

test("every command that asks a server ends with 3 where there is none, and says so as JSON", async () => {
  const asking: [string, string[]][] = [
    ["deploy", [APP]],
    ["run", ["work", "--app-name", "shop"]],
    ["job list", []],
    ["job show", ["jobs:1"]],
    ["job watch", ["jobs:1"]],
    ["job result", ["jobs:1"]],
    ["job cancel", ["jobs:1"]],
    ["job logs", ["jobs:1"]],
    ["job retry", ["jobs:1"]],
    ["job replay", ["jobs:1"]],
    ["job webhook", ["jobs:1"]],
    ["schedule list", []],
    ["schedule pause", ["nightly", "--app-name", "shop"]],
    ["schedule resume", ["nightly", "--app-name", "shop"]],
    ["schedule trigger", ["nightly", "--app-name", "shop"]],
    ["queue list", []],
    ["queue pause", ["work", "--app-name", "shop"]],
    ["queue resume", ["work", "--app-name", "shop"]],
    ["queue keys", ["work", "--app-name", "shop"]],
    ["deployment list", []],
    ["deployment show", ["1"]],
    ["deployment rollback", ["1"]],
    ["deployment logs", ["1"]],
    ["app list", []],
    ["app show", ["shop"]],
    ["app delete", ["shop", "--yes"]],
    ["events", []],
  ];
  const ended = await Promise.all(
    // Port 1 is nobody's.
    asking.map(([command, args]) =>
      athanor(...command.split(" "), ...args, "--url", "http://127.0.0.1:1", "--token", "t".repeat(20), "--json"),
    ),
  );
  for (const [index, { status, stdout, stderr }] of ended.entries()) {
    const name = asking[index]?.[0];
    assert.equal(status, 3, `${name}: ${stderr}`);
    assert.equal(stdout, "", name);
    assert.equal(JSON.parse(stderr.trim().split("\n").at(-1) ?? "").code, "server_unreachable", name);
  }
});

test("a deploy that fails in any way names file and line, and leaves the old deployment live", async () => {
  const dir = join(folder.path, "keep");
  await mkdir(dir);
  const entry = join(dir, "app.ts");
  const head = 'import { App } from "athanor";\nconst app = new App("keep");\n';
  const endpoint = 'export const hi = app.endpoint("/hi", { methods: ["GET"] }, () => "old");\n';
  await writeFile(entry, head + endpoint);
  const first = await document("deploy", [entry]);
  const live = (first.deployment as { deployment_id: string }).deployment_id;
  const broken: [string, string, RegExp][] = [
    [
      "type_not_serialisable",
      `${head}${endpoint}export const f = app.function((callback: () => void) => callback);\n`,
      /app\.ts:4/,
    ],
    ["build_failed", `${head}${endpoint}export const f = app.function((n: Missing) => n);\n`, /app\.ts:4/],
    ["import_failed", `${head}${endpoint}\nthrow new Error("at import");\n`, /app\.ts:5/],
    ["no_app", "export const nothing = 1;\n", /app\.ts/],
    ["build_failed", `${head}${endpoint}const = 1;\n`, /app\.ts:4/],
  ];
  for (const [code, source, place] of broken) {
    await writeFile(entry, source);
    const { status, stdout, stderr } = await athanor("deploy", entry, "--json");
    assert.deepEqual([status, stdout], [1, ""], code);
    const problem = JSON.parse(stderr.trim().split("\n").at(-1) ?? "");
    assert.equal(problem.code, code, stderr);
    assert.match(problem.detail, place);
    assert.equal(await (await fetch(`${url}/keep/hi`)).json(), "old");
  }
  assert.equal((await document("app show", ["keep"])).deployment_id, live);
});
