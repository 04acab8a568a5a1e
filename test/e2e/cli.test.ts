/** Every command, as a process of its own, against one real server that `athanor up` started. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CliRun, temporaryFolder } from "./cli-process.ts";

const APP = fileURLToPath(new URL("./fixtures/cli/app.ts", import.meta.url));
const BROKEN = fileURLToPath(new URL("./fixtures/cli-broken/app.ts", import.meta.url));

const folder = await temporaryFolder();
const data = join(folder.path, "data");
const env = { ATHANOR_DATA: data };
let server: CliRun;
let url: string;

/** Runs a command to its end against the server. */
function athanor(...args: string[]) {
  return new CliRun(args, { env }).ended;
}

/** A command with --json, which must succeed. */
async function json(...args: string[]) {
  const { status, stdout, stderr } = await athanor(...args, "--json");
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

function problemIn(stderr: string): { code: string; detail: string; hint: string } {
  return JSON.parse(stderr.trim().split("\n").at(-1) ?? "");
}

before(async () => {
  server = new CliRun(["up", "--port", "0", "--data", data, "--log-level", "silent"], { env: {} });
  url = (await server.until("stdout", /Athanor is up at (http:\S+)/))[1] ?? "";
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

test("up says where it is, where its data and its token are, and never the token", async () => {
  await server.until("stdout", /Deploy an app/);
  const token = (await readFile(join(data, "token"), "utf8")).trim();
  assert.match(server.stdout, new RegExp(`data +${data}\\n`));
  assert.match(server.stdout, /token +in .*\/token\n/);
  assert.ok(!server.stdout.includes(token));
});

test("a second server on the same data folder says so and ends", async () => {
  const { status, stderr } = await athanor("up", "--port", "0");
  assert.equal(status, 1);
  assert.match(stderr, /^Data folder in use: /);
});

test("deploy prints the deployment, its URLs and how long the build took; once more is unchanged", async () => {
  const first = await athanor("deploy", APP);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /^Built shop in \d+\.\d s; deploying to /);
  assert.match(first.stdout, /^Deployed shop as deployments:1\.\n/);
  assert.match(first.stdout, new RegExp(`hello +GET +at once +${url}/shop/hello +Greets somebody\\.`));
  assert.match(first.stdout, /work +- +queued +- +Says what it does/);
  assert.match(first.stdout, new RegExp(`docs: +${url}/shop/docs\n`));
  assert.deepEqual(await (await fetch(`${url}/shop/hello?name=Ada`)).json(), { message: "Hello, Ada!" });

  const again = await json("deploy", APP);
  assert.equal(again.unchanged, true);
  assert.equal(again.deployment.deployment_id, "deployments:1");
  assert.equal(again.links.docs, "/shop/docs");
});

test("a deploy that cannot be built names the place and what to write instead", async () => {
  const { status, stdout, stderr } = await athanor("deploy", BROKEN);
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /app\.ts:5.*callback/s);
  assert.match(stderr, /\n {2}Next: /);
  const missing = await athanor("deploy", join(folder.path, "nothing.ts"), "--json");
  assert.equal(missing.status, 1);
  assert.match(problemIn(missing.stderr).detail, /nothing\.ts/);
});

test("run prints the result alone on stdout, and what the function wrote on stderr", async () => {
  const done = await athanor("run", "work", "--app-name", "shop", "--payload", '{"args":["ab"],"kwargs":{"times":2}}');
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual(JSON.parse(done.stdout), { text: "abab" });
  const lines = done.stderr.trim().split("\n");
  assert.deepEqual([...lines].sort(), [
    "50%  half way",
    "a warning",
    "queued, position 1",
    "running, attempt 1",
    "working on ab",
  ]);
});

test("run reads a payload from stdin; with --json it prints the job", async () => {
  const args = ["run", "work", "--app-name", "shop", "--payload", "@-", "--json"];
  const { status, stdout, stderr } = await new CliRun(args, { env, input: '{"args":["x"]}' }).ended;
  assert.equal(status, 0);
  assert.equal(stderr, "");
  const job = JSON.parse(stdout);
  assert.equal(job.status, "succeeded");
  assert.deepEqual(job.result, { text: "x" });
});

test("a job that fails ends the command with 1 and shows where the function threw", async () => {
  const { status, stdout, stderr } = await athanor(
    "run",
    "fail",
    "--app-name",
    "shop",
    "--payload",
    '{"args":["broke"]}',
  );
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /jobs:\d+ failed: handler_error: Error: broke\n.*app\.ts:17/s);
  const machine = await athanor("run", "fail", "--app-name", "shop", "--payload", '{"args":["broke"]}', "--json");
  assert.equal(machine.status, 1);
  assert.equal(problemIn(machine.stderr).code, "handler_error");
});

test("run --watch prints every event; --json one document a line", async () => {
  const plain = await athanor("run", "work", "--app-name", "shop", "--payload", '{"args":["x"]}', "--watch");
  assert.equal(plain.status, 0, plain.stderr);
  for (const line of [
    /queued {2}position 1/,
    /running {2}attempt 1 on replicas:\d+/,
    /stdout {2}working on x/,
    /stderr {2}a warning/,
    /progress {2}50% {2}half way/,
    /result {2}\{"text":"x"\}/,
    /end {2}succeeded$/m,
  ]) {
    assert.match(plain.stdout, line);
  }
  const machine = await athanor(
    "run",
    "fail",
    "--app-name",
    "shop",
    "--payload",
    '{"args":["x"]}',
    "--watch",
    "--json",
  );
  assert.equal(machine.status, 1);
  const events = machine.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map((event) => event.id),
    events.map((_, index) => index + 1),
  );
  assert.equal(events.at(-1).event, "job.end");
  assert.equal(events.at(-1).data.status, "failed");
});

test("run refuses what is not right before or at the server", async () => {
  const cases: [string[], number, string][] = [
    [["nothing", "--app-name", "shop"], 1, "function_not_found"],
    [["work", "--app-name", "nothing"], 1, "app_not_found"],
    [["work", "--app-name", "shop", "--payload", '{"args":[1]}'], 1, "input_invalid"],
    [["work", "--app-name", "shop", "--payload", "{"], 2, "usage"],
    [["work", "--app-name", "shop", "--payload", '{"text":"x"}'], 2, "usage"],
    [["work", "--app-name", "shop", "--watch", "--detach"], 2, "usage"],
    [["work"], 2, "usage"],
    [["work", "--app-name", "shop", "--priority", "1.5"], 2, "usage"],
    [["work", "--app-name", "shop", "--priority", "-1001"], 2, "usage"],
    [["work", "--app-name", "shop", "--delay", "soon"], 2, "usage"],
  ];
  for (const [args, status, code] of cases) {
    const ended = await athanor("run", ...args, "--json");
    assert.equal(ended.status, status, args.join(" "));
    assert.equal(problemIn(ended.stderr).code, code, args.join(" "));
  }
  const { stderr } = await athanor("run", "work", "--app-name", "shop", "--payload", '{"args":[1]}');
  assert.match(stderr, /Invalid input: .*\n {2}\/text: expected .*string/);
});

test("Ctrl-C detaches: the job goes on, and watching it can be resumed", async () => {
  await using run = new CliRun(["run", "hang", "--app-name", "shop"], { env });
  await run.until("stderr", /^started$/m);
  run.signal("SIGINT");
  const { status, stderr } = await run.ended;
  assert.equal(status, 130);
  const id = /Detached; (jobs:\d+) goes on\. Resume with: athanor job watch \1/.exec(stderr)?.[1] ?? "";

  await using watch = new CliRun(["job", "watch", id, "--after", "1"], { env });
  await watch.until("stdout", /stdout {2}started/);
  assert.doesNotMatch(watch.stdout, /queued/);
  watch.signal("SIGINT");
  const watched = await watch.ended;
  assert.equal(watched.status, 130);
  assert.match(watched.stderr, new RegExp(`athanor job watch ${id} --after \\d+`));

  const shown = await json("job", "show", id);
  assert.equal(shown.status, "running");
  const pending = await athanor("job", "result", id, "--json");
  assert.equal(pending.status, 1);
  assert.equal(problemIn(pending.stderr).code, "job_not_ended");
  assert.match((await athanor("job", "logs", id)).stdout, /^started\n$/);

  const cancelled = await athanor("job", "cancel", id);
  assert.equal(cancelled.status, 0);
  const result = await athanor("job", "result", id, "--wait", "--json");
  assert.equal(result.status, 1);
  assert.equal(problemIn(result.stderr).code, "cancelled");
  assert.equal((await json("job", "show", id)).status, "cancelled");
  const end = await athanor("job", "watch", id, "--snapshot");
  assert.equal(end.status, 1);
  assert.match(end.stdout, /snapshot {2}cancelled/);
});

test("run --detach prints the job's id; its result, logs and events are there afterwards", async () => {
  const detached = await athanor("run", "work", "--app-name", "shop", "--payload", '{"args":["later"]}', "--detach");
  assert.equal(detached.status, 0);
  const id = detached.stdout.trim();
  assert.match(id, /^jobs:\d+$/);
  const result = await athanor("job", "result", id, "--wait");
  assert.deepEqual(JSON.parse(result.stdout), { text: "later" });
  const logs = await json("job", "logs", id).catch(() => null);
  assert.equal(logs, null, "logs are one document a line");
  assert.deepEqual((await athanor("job", "logs", id)).stdout.trim().split("\n").sort(), [
    "a warning",
    "working on later",
  ]);
  assert.match((await athanor("job", "show", id)).stdout, /status: +succeeded/);
  assert.equal((await athanor("job", "show", id.replace("jobs:", ""))).status, 0);
});

test("job list is newest first, filtered and in pages", async () => {
  const page = await json("job", "list", "--function-name", "fail", "--limit", "1");
  assert.equal(page.items.length, 1);
  assert.equal(page.items[0].function, "fail");
  const next = await json("job", "list", "--function-name", "fail", "--limit", "1", "--cursor", page.next_cursor);
  assert.notEqual(next.items[0].job_id, page.items[0].job_id);
  const failed = await json("job", "list", "--status", "failed");
  assert.ok(failed.items.length >= 2 && failed.items.every((job: { status: string }) => job.status === "failed"));
  assert.match((await athanor("job", "list")).stdout, /^JOB +FUNCTION +STATUS +DONE +CREATED/);
  assert.equal((await athanor("job", "list", "--app-name", "nothing")).stdout, "No jobs.\n");
  assert.equal((await athanor("job", "list", "--limit", "0")).status, 2);
  const unknown = await athanor("job", "show", "jobs:999999", "--json");
  assert.equal(unknown.status, 1);
  assert.equal(problemIn(unknown.stderr).code, "job_not_found");
});

test("jobs are cancelled, retried and replayed, and queues paused, in words", async () => {
  const run = ["run", "work", "--app-name", "shop", "--payload", '{"args":["w"]}', "--detach"];
  assert.match(
    (await athanor("queue", "pause", "work", "--app-name", "shop")).stdout,
    /^shop\/work is paused: 0 queued/,
  );
  const first = (await athanor(...run, "--priority", "3", "--key", "ann")).stdout.trim();
  const second = (await athanor(...run, "--delay", "3600")).stdout.trim();
  assert.match((await athanor("job", "show", first)).stdout, /waits: +the queue is paused; .*\(paused, position 1/);
  assert.match((await athanor("queue", "list")).stdout, /shop\/work +paused +2 +0/);
  assert.match((await athanor("queue", "keys", "work", "--app-name", "shop")).stdout, /ann +1 +0 +1/);
  assert.match((await athanor("job", "retry", second)).stdout, new RegExp(`^${second} is due now`));
  assert.match((await athanor("job", "cancel", "--key", "ann")).stdout, /^1 cancelled, 0 being stopped/);
  assert.match((await athanor("job", "list", "--key", "ann")).stdout, new RegExp(`${first} +shop/work +cancelled`));
  assert.match((await athanor("job", "retry", first)).stdout, new RegExp(`runs the input of ${first} again`));
  assert.match((await athanor("queue", "resume", "work", "--app-name", "shop")).stdout, /^shop\/work is open/);
  assert.deepEqual(JSON.parse((await athanor("job", "result", second, "--wait")).stdout), { text: "w" });
  const succeeded = await athanor("job", "retry", second);
  assert.equal(succeeded.status, 1);
  assert.match(succeeded.stderr, /Job has succeeded: .*\n {2}Next: .*job replay/);
  assert.match(
    (await athanor("job", "replay", second)).stdout,
    new RegExp(`runs the input of ${second} on deployments`),
  );
  for (const args of [[], [first, "--all"], ["--status", "succeeded"]])
    assert.equal((await athanor("job", "cancel", ...args)).status, 2, args.join(" "));
  assert.equal((await athanor("queue", "pause", "none", "--app-name", "shop")).status, 1);
});

test("methods of a class share their replica's instance, after its enter hook", async () => {
  const first = await athanor("run", "next", "--app-name", "shop");
  assert.equal(first.stdout, "101\n", first.stderr);
});

test("deployments and their logs", async () => {
  const list = await json("deployment", "list", "--app-name", "shop");
  assert.deepEqual(
    list.items.map((item: { deployment_id: string; status: string }) => [item.deployment_id, item.status]),
    [["deployments:1", "live"]],
  );
  assert.match((await athanor("deployment", "list")).stdout, /deployments:1 +shop +live/);
  const shown = await json("deployment", "show", "deployments:1");
  assert.equal(shown.app, "shop");
  assert.match((await athanor("deployment", "show", "1")).stdout, /status: +live\n/);
  const logs = await athanor("deployment", "logs", "deployments:1", "--function-name", "work");
  assert.match(logs.stdout, /(?:jobs|replicas):\d+ {2}working on later/);
  assert.doesNotMatch(logs.stdout, /started/);
  await using following = new CliRun(["deployment", "logs", "deployments:1", "--follow", "--limit", "1", "--json"], {
    env,
  });
  // The last line that was kept shows that it follows.
  await following.until("stdout", /\n/);
  const unwatched = athanor("run", "work", "--app-name", "shop", "--payload", '{"args":["followed"]}');
  const [line] = await following.until("stdout", /^.*working on followed.*$/m);
  assert.equal(JSON.parse(line).function, "work");
  await unwatched;
});

test("apps are listed, shown and deleted", async () => {
  assert.match((await athanor("app", "list")).stdout, /shop +deployments:1 +7 /);
  const app = await json("app", "show", "shop");
  assert.equal(app.deployment_id, "deployments:1");
  assert.match((await athanor("app", "show", "shop")).stdout, /now +POST +at once +http:.*\/shop\/count/);
  const unconfirmed = await athanor("app", "delete", "shop");
  assert.equal(unconfirmed.status, 2);
  const gone = await athanor("app", "delete", "shop", "--yes");
  assert.equal(gone.stdout, "Deleted shop.\n");
  const missing = await athanor("app", "show", "shop", "--json");
  assert.equal(missing.status, 1);
  assert.equal(problemIn(missing.stderr).code, "app_not_found");
  assert.equal((await athanor("app", "list")).stdout, "No apps. Deploy one: athanor deploy ENTRY\n");
});

test("doctor finds all well, and what is not", async () => {
  const well = await json("doctor");
  assert.equal(well.ok, true);
  assert.deepEqual(
    well.checks.map((check: { name: string }) => check.name),
    ["node", "npm", "uv", "python", "data folder", "token", "disk", "server", "store"],
  );
  const version = (await athanor("--version")).stdout.trim();
  assert.ok(JSON.stringify(well.checks).includes(`version ${version},`), version);
  await chmod(join(data, "token"), 0o644);
  const open = await athanor("doctor");
  await chmod(join(data, "token"), 0o600);
  assert.equal(open.status, 1);
  assert.match(open.stdout, /WRONG +token .*0644\n +Next: Others can read it: chmod 600/);
});

test("a wrong token, an unreachable server and bad usage end differently", async () => {
  const refused = await athanor("app", "list", "--url", url, "--token", "wrong-token-wrong-token", "--json");
  assert.equal(refused.status, 1);
  assert.equal(problemIn(refused.stderr).code, "unauthorized");
  const closed = await closedPort();
  const away = await athanor("app", "list", "--url", `http://127.0.0.1:${closed}`);
  assert.equal(away.status, 3);
  assert.match(
    away.stderr,
    /^Server unreachable: cannot reach the server at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/,
  );
  const typo = await athanor("job", "wach", "jobs:1");
  assert.equal(typo.status, 2);
  assert.match(typo.stderr, /Bad usage: unknown command 'wach'/);
  assert.equal((await athanor("--help")).status, 0);
  assert.equal((await athanor("--version")).stdout.trim().split(".").length, 3);
});

/** One that was free a moment ago. */
async function closedPort(): Promise<number> {
  const held = createServer().listen(0, "127.0.0.1");
  await once(held, "listening");
  const { port } = held.address() as AddressInfo;
  held.close();
  await once(held, "close");
  return port;
}

test("the local token is not sent to another server", async () => {
  const seen = Promise.withResolvers<string | undefined>();
  const stranger = createServer((req, res) => {
    seen.resolve(req.headers.authorization);
    res.writeHead(401).end();
  }).listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const { port } = stranger.address() as AddressInfo;
  assert.equal((await athanor("app", "list", "--url", `http://127.0.0.1:${port}`)).status, 1);
  assert.equal(await seen.promise, undefined);
  await new Promise((resolve) => stranger.close(resolve));
});

test("a signal stops the server, which says so and ends well", async () => {
  server.signal("SIGTERM");
  const { status, stderr } = await server.ended;
  assert.equal(status, 0, stderr);
  assert.match(stderr, /Stopping: .*\nStopped\.\n$/s);
});
