/**
 * The one gate. Runs every step of steps.ts in order, goes on after a failure, and ends with the count of everything alone on
 * the last line: a step that is no test run counts as one test.
 *
 *   npm test [-- WORD ...]     only the steps whose name holds one of the words
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { STEPS, type Step } from "./steps.ts";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const ROOT = path.dirname(import.meta.dirname);
const CONCURRENCY = 2;
const STEP_TIMEOUT_S = 600;

// All that the steps leave is found by this folder: their processes work in it, their files lie in it.
const TEMP = mkdtempSync(path.join(realpathSync(os.tmpdir()), "athanor-check-"));
// A PostgreSQL that tests start runs as a user of its own, who must get to its folder in here.
chmodSync(TEMP, 0o711);
const HOME = mkdtempSync(path.join(realpathSync(os.tmpdir()), "athanor-check-home-"));
const ENV = {
  ...process.env,
  TMPDIR: TEMP,
  XDG_DATA_HOME: path.join(HOME, "data"),
  XDG_CACHE_HOME: path.join(HOME, "cache"),
  NO_COLOR: "1",
};

let running: ChildProcess | null = null;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop(signal));

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const failedSteps: string[] = [];
try {
  for (const step of selected(STEPS, process.argv.slice(2))) {
    const startedAt = performance.now();
    console.log(`== ${step.name}`);
    const counts =
      "command" in step ? await runCommand(step.command, step.needs) : await runTests(step.tests, step.concurrency);
    add(total, counts);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (counts.failed > 0) {
      failedSteps.push(step.name);
      console.log(`   FAILED: ${step.hint}`);
    }
    console.log(`   ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s`);
  }
  console.log("== every test file has a step");
  const unmatched = filesWithoutStep();
  for (const file of unmatched) console.log(`    ${file} is run by no step of scripts/steps.ts`);
  finish("every test file has a step", unmatched.length === 0);

  console.log("== nothing left behind");
  const left = [...endLeftProcesses(), ...leftFiles()];
  for (const line of left) console.log(`    ${line}`);
  finish("nothing left behind", left.length === 0);
} finally {
  rmSync(TEMP, { recursive: true, force: true, maxRetries: 3 });
  rmSync(HOME, { recursive: true, force: true, maxRetries: 3 });
}
if (failedSteps.length > 0) console.log(`Failed: ${failedSteps.join("; ")}`);
process.exitCode = total.failed > 0 ? 1 : 0;
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);

function selected(steps: Step[], words: string[]): Step[] {
  return words.length === 0 ? steps : steps.filter(({ name }) => words.some((word) => name.includes(word)));
}

/** Counts a check that is no command. */
function finish(name: string, ok: boolean): void {
  add(total, { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });
  if (!ok) failedSteps.push(name);
}

function filesWithoutStep(): string[] {
  const run = new Set(STEPS.flatMap((step) => ("tests" in step ? filesOf(step.tests) : [])));
  return filesOf(["{src,test,scripts,examples,bench}/**/*.test.ts"]).filter((file) => !run.has(file));
}

function filesOf(patterns: string[]): string[] {
  return globSync(patterns, { cwd: ROOT, exclude: ["**/node_modules/**", "**/fixtures/**"] }).toSorted();
}

async function runCommand(command: string[], needs: string | undefined): Promise<Counts> {
  if (needs !== undefined && !existsSync(path.join(ROOT, needs))) {
    console.log(`    skipped: there is no ${needs}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const { ok } = await run(command, "inherit");
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

async function runTests(patterns: string[], concurrency = CONCURRENCY): Promise<Counts> {
  const files = filesOf(patterns);
  if (files.length === 0) {
    console.log(`    no test file matches ${patterns.join(", ")}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const options = [`--test-concurrency=${concurrency}`, "--test-reporter=./scripts/reporter.ts"];
  const { ok, output } = await run(["node", "--test", ...options, ...files], "counts");
  const counted = /^counts (\d+) (\d+) (\d+)$/m.exec(output);
  if (!counted) return { passed: 0, failed: 1, skipped: 0 };
  const [passed = 0, failed = 0, skipped = 0] = counted.slice(1).map(Number);
  return { passed, failed: failed === 0 && !ok ? 1 : failed, skipped };
}

/** Streams what the command prints; of `counts` output the line for this script is kept back. */
function run([command = "", ...args]: string[], kind: "inherit" | "counts"): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    // A group of its own, so that it can be stopped with all that it started.
    const child = spawn(command, args, { cwd: ROOT, env: ENV, stdio: ["ignore", "pipe", "inherit"], detached: true });
    running = child;
    const timer = setTimeout(() => {
      console.log(`    stopped after ${STEP_TIMEOUT_S} s, in ${testFilesRunning(child).join(", ") || command}`);
      killGroup(child, "SIGKILL");
    }, STEP_TIMEOUT_S * 1000);
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      process.stdout.write(kind === "counts" ? text.replace(/^counts .*\n/m, "") : text);
    });
    child.on("error", (error) => console.log(`    could not run ${command}: ${error.message}`));
    child.on("close", (status) => {
      clearTimeout(timer);
      running = null;
      resolve({ ok: status === 0, output });
    });
  });
}

/** The test files whose processes are alive: one that never ends has left something open. */
function testFilesRunning({ pid }: ChildProcess): string[] {
  const { stdout } = spawnSync("ps", ["-eo", "pgid=,args="], { encoding: "utf8" });
  const lines = (stdout ?? "").split("\n").filter((line) => Number.parseInt(line, 10) === pid);
  return lines.flatMap((line) => /--test-.* (\S+\.test\.ts)$/.exec(line)?.[1] ?? []);
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** Ends and names what still works in, or was started from, the steps' temporary folder. Linux only: elsewhere none is seen. */
function endLeftProcesses(): string[] {
  if (process.platform !== "linux") return [];
  const left: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      const ours = command.includes(TEMP) || readlinkSync(`/proc/${pid}/cwd`).startsWith(TEMP);
      if (!ours) continue;
      left.push(`process ${pid} was still running: ${command}`);
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
  return left;
}

function leftFiles(): string[] {
  return readdirSync(TEMP)
    .filter((name) => name.startsWith("athanor"))
    .map((name) => `left in the temporary folder: ${name}`);
}

function add(to: Counts, counts: Counts): void {
  to.passed += counts.passed;
  to.failed += counts.failed;
  to.skipped += counts.skipped;
}

function stop(signal: NodeJS.Signals): void {
  if (running) killGroup(running, signal);
  rmSync(TEMP, { recursive: true, force: true });
  rmSync(HOME, { recursive: true, force: true });
  process.exit(signal === "SIGINT" ? 130 : 143);
}
