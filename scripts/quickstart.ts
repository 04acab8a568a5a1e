/**
 * Shows Athanor at work: starts a server on a free port, deploys examples/reader, sends it a picture of a printed page,
 * prints the events as they come and the text that was read, and what to try next.
 *
 *   npm run quickstart [-- --keep]     with --keep the server stays up
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { JobJson } from "../src/protocol/wire.ts";
import { Client, type JobWatchEvent } from "../src/sdk/client/index.ts";

const ROOT = path.dirname(import.meta.dirname);
const READER = path.join(ROOT, "examples", "reader");
const ATHANOR = path.join(ROOT, "bin", "athanor.mjs");
const START_TIMEOUT_S = 30;
const LOG_LINES_SHOWN = 20;

interface Server {
  url: string;
  token: string;
  child: ChildProcess;
}

const { keep } = parseArgs({ options: { keep: { type: "boolean", default: false } } }).values;
const data = keep
  ? path.join(ROOT, ".athanor", "quickstart")
  : mkdtempSync(path.join(os.tmpdir(), "athanor-quickstart-"));
const logFile = path.join(data, "quickstart.log");
// What every command of this script and of its last lines needs to find this server, whatever else runs on the machine.
const env = withoutAthanor(process.env, { ATHANOR_DATA: data });
let server: Server | null = null;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void end(signal === "SIGINT" ? 130 : 143));

try {
  say("Starting a server");
  server = await startServer();
  console.log(`  ${server.url}, data in ${shown(data)}`);

  say("Deploying examples/reader (its packages are installed on the server, once)");
  await athanor(["deploy", path.join(READER, "app.ts")]);

  say("Sending examples/reader/page.png");
  const job = await sendPage(server.url);
  console.log(`  202 Accepted: ${job.job_id}`);

  say("Watching the job");
  const read = await watch(server, job.job_id);

  say(`The page says (confidence ${read.confidence} of 100, ${read.words.length} words):`);
  console.log(read.text.trim().replaceAll(/^(?=.)/gm, "  | "));

  if (keep) sayWhatIsUp(server);
  else sayWhatIsNext();
  await end(0);
} catch (error) {
  console.error(`\nquickstart: ${error instanceof Error ? error.message : error}`);
  const log = lastLines(logFile);
  if (log) console.error(`\nThe server's last lines:\n${log}`);
  await end(1);
}

async function startServer(): Promise<Server> {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const log = openSync(logFile, "w", 0o600);
  // To a file, and in a group of its own, so that it can outlive this script.
  const child = spawn(process.execPath, [ATHANOR, "up", "--port", "0", "--data", data], {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  let failure: Error | null = null;
  child.once("error", (error) => {
    failure = error;
  });
  child.unref();
  for (const deadline = Date.now() + START_TIMEOUT_S * 1000; Date.now() < deadline; await delay(50)) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`the server ended at once with status ${child.exitCode}`);
    const address = readAddress(child.pid);
    if (address) return { ...address, child };
  }
  child.kill();
  throw new Error(`the server was not ready after ${START_TIMEOUT_S} s`);
}

/** Null until the server has written where it listens. */
function readAddress(pid: number | undefined): { url: string; token: string } | null {
  try {
    const written = JSON.parse(readFileSync(path.join(data, "server.json"), "utf8")) as { url: string; pid: number };
    const token = readFileSync(path.join(data, "token"), "utf8").trim();
    return written.pid === pid ? { url: written.url, token } : null;
  } catch {
    return null;
  }
}

async function sendPage(url: string): Promise<JobJson> {
  const form = new FormData();
  form.set("page", new Blob([readFileSync(path.join(READER, "page.png"))], { type: "image/png" }), "page.png");
  const response = await fetch(`${url}/reader/read`, { method: "POST", body: form });
  if (response.status !== 202) throw new Error(`the endpoint answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as JobJson;
}

interface Reading {
  text: string;
  confidence: number;
  words: unknown[];
}

async function watch({ url, token }: Server, jobId: string): Promise<Reading> {
  const job = new Client({ url, token }).job<Reading>(jobId);
  let result: Reading | null = null;
  for await (const event of job.watch()) {
    console.log(`  ${String(event.id).padStart(3)}  ${event.event.padEnd(13)} ${summary(event)}`);
    if (event.event === "job.result") result = event.data.value;
    if (event.event === "job.end" && event.data.status !== "succeeded") {
      throw new Error(`${jobId} ${event.data.status}: ${event.data.error?.message ?? "no reason given"}`);
    }
  }
  if (!result) throw new Error(`the events of ${jobId} ended without a result`);
  return result;
}

function summary(event: JobWatchEvent<Reading>): string {
  switch (event.event) {
    case "job.progress":
      return `${Math.round(event.data.progress * 100)} % ${event.data.message ?? ""}`;
    case "job.result":
      return `{ text: ${event.data.value.text.length} characters, words: ${event.data.value.words.length} }`;
    default:
      return JSON.stringify(event.data);
  }
}

function sayWhatIsUp({ url, child }: Server): void {
  say("The server is still up. Try:");
  const command = `ATHANOR_DATA=${shown(data)} npx athanor`;
  console.log(`  ${url}/reader/docs    the API, in a browser`);
  console.log(`  curl ${url}/reader/read -F page=@examples/reader/page.png -H 'prefer: wait=30'`);
  console.log(`  ${command} job list`);
  console.log(`  ${command} job watch jobs:1 --snapshot`);
  console.log(`  ${command} deploy examples/hello/app.ts`);
  console.log(`  curl ${url}/hello/greet --json '{"name":"Ada"}'`);
  console.log(`\nStop it with: kill ${child.pid}`);
}

function sayWhatIsNext(): void {
  say("Done; the server is stopped. Try next:");
  console.log("  npm run quickstart -- --keep      the same, and leaves the server up");
  console.log("  npx athanor up                    a server at http://127.0.0.1:7700, for as long as you want");
  console.log("  npx athanor deploy examples/hello/app.ts");
  console.log(`  curl http://127.0.0.1:7700/hello/greet --json '{"name":"Ada"}'`);
  console.log("  http://127.0.0.1:7700/hello/docs  the API, in a browser");
  console.log("  npx athanor init my-app           a project of your own");
}

async function athanor(args: string[]): Promise<void> {
  const child = spawn(process.execPath, [ATHANOR, ...args], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => process.stdout.write(text.replaceAll(/^(?=.)/gm, "  ")));
  }
  const status = await new Promise((resolve) => child.on("close", resolve));
  if (status !== 0) throw new Error(`\`athanor ${args[0]}\` ended with status ${status}; its own message is above`);
}

/** Stops the server unless it is to stay, and ends this script. */
async function end(status: number): Promise<never> {
  const child = server?.child;
  if (child && child.exitCode === null && !(keep && status === 0)) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.ref();
    child.kill("SIGTERM");
    await ended;
  }
  if (!keep) rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  process.exit(status);
}

function withoutAthanor(from: NodeJS.ProcessEnv, added: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(Object.entries(from).filter(([name]) => !name.startsWith("ATHANOR_"))), ...added };
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_LINES_SHOWN).join("\n");
  } catch {
    return "";
  }
}

function shown(file: string): string {
  const relative = path.relative(ROOT, file);
  return relative.startsWith("..") ? file : relative;
}

function say(line: string): void {
  console.log(`\n${line}`);
}
