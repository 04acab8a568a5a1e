import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { AthanorError } from "../protocol/errors.ts";
import type { Bundle } from "./bundle.ts";
import type { ChildAnswer, ChildRequest } from "./manifest-messages.ts";

const CHILD = path.join(
  import.meta.dirname,
  import.meta.url.endsWith(".ts") ? "manifest-child.ts" : "manifest-child.js",
);
const IMPORT_TIMEOUT_MS = 30_000;
const MAX_OUTPUT_CHARS = 64 * 1024;
const MAX_ANSWER_CHARS = 32 * 1024 * 1024;
const SHOWN_LINES = 15;

/** What any process needs; whatever else the build's own environment holds, secrets above all, the imported code does not see. */
const PASSED = ["PATH", "HOME", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "TZ", "SystemRoot"];

/**
 * Imports the bundle in a process of its own and returns what it registered. Throws `import_failed` with the place in the user's own
 * file where the import throws, ends the process, or does not end.
 */
export async function importBundle(p: { bundle: Bundle; root: string; project: object }): Promise<ChildAnswer> {
  // Real, since the stack names real paths.
  const dir = await realpath(await mkdtemp(path.join(tmpdir(), "athanor-build-")));
  try {
    const request = await layOut(dir, p);
    const ended = await run([CHILD, request], p.root);
    return finish(ended, dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function layOut(dir: string, p: { bundle: Bundle; root: string; project: object }): Promise<string> {
  const bundlePath = path.join(dir, "bundle.mjs");
  const requestPath = path.join(dir, "request.json");
  const request: ChildRequest = {
    bundlePath,
    bundleUrl: pathToFileURL(bundlePath).href,
    projectDir: p.root,
    project: p.project,
  };
  await Promise.all([
    writeFile(bundlePath, `${p.bundle.code}\n//# sourceMappingURL=bundle.mjs.map\n`),
    writeFile(`${bundlePath}.map`, p.bundle.map),
    writeFile(requestPath, JSON.stringify(request)),
    ...[...p.bundle.externals].map(async ([name, found]) => {
      const link = path.join(dir, "node_modules", name);
      await mkdir(path.dirname(link), { recursive: true });
      await symlink(found.dir, link, "junction");
    }),
  ]);
  return requestPath;
}

interface Ended {
  answer: string;
  output: string;
  code: number | null;
  signal: string | null;
  timedOut: boolean;
}

function run(args: string[], cwd: string): Promise<Ended> {
  const env = Object.fromEntries(
    PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  return new Promise((resolve, reject) => {
    // A group of its own, so that what the code starts ends with it.
    const child = spawn(process.execPath, ["--enable-source-maps", "--no-warnings", ...args], {
      cwd,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    let answer = "";
    let output = "";
    let timedOut = false;
    const killGroup = (): void => {
      try {
        process.kill(-(child.pid ?? 0), "SIGKILL");
      } catch {
        // It has gone by itself.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup();
    }, IMPORT_TIMEOUT_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-MAX_OUTPUT_CHARS);
      });
    }
    (child.stdio[3] as import("node:stream").Readable).setEncoding("utf8").on("data", (text: string) => {
      if (answer.length < MAX_ANSWER_CHARS) answer += text;
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      if (child.pid !== undefined) killGroup();
      child.once("close", () => resolve({ answer, output, code, signal, timedOut }));
    });
  });
}

function finish(ended: Ended, dir: string): ChildAnswer {
  const answer = parse(ended.answer);
  if (answer === null) throw failure(whyItEnded(ended), null, ended.output);
  if (answer.type === "threw") {
    const place = placeIn(answer.stack, dir);
    throw failure(
      place === null ? answer.message : `${place}: ${answer.message}`,
      stackOf(answer.stack, dir),
      ended.output,
    );
  }
  if (answer.type === "refused") {
    const place = placeIn(answer.stack ?? "", dir);
    const detail = place === null ? answer.detail : `${place}: ${answer.detail}`;
    throw new AthanorError(answer.code, detail, { hint: answer.hint });
  }
  return answer;
}

function whyItEnded({ timedOut, code, signal }: Ended): string {
  if (timedOut)
    return `the import did not end in ${IMPORT_TIMEOUT_MS / 1000} s; start nothing at the top of a file that it must wait for`;
  if (code === 13) return "an await at the top of a file never settles";
  return `the process ended during the import, with ${signal === null ? `status ${code}` : signal}`;
}

/** Lines of the stack that are in the project's own files, as `at f (src/app.ts:3:9)`. */
function stackOf(stack: string, dir: string): string | null {
  const own = stack.split("\n").filter((line) => line.includes(dir) && !/node_modules|athanor:/.test(line));
  const lines = own.map((line) => line.replaceAll(`file://${dir}/`, "").replaceAll(`${dir}/`, ""));
  return lines.length > 0 ? lines.slice(0, SHOWN_LINES).join("\n") : null;
}

/** `src/app.ts:3:9` of the topmost line in the project's own files. */
function placeIn(stack: string, dir: string): string | null {
  const line = stackOf(stack, dir)?.split("\n")[0];
  return /([^\s(]+:\d+:\d+)\)?$/.exec(line ?? "")?.[1] ?? null;
}

function failure(what: string, stack: string | null, output: string): AthanorError {
  const printed = output.trim().split("\n").slice(-SHOWN_LINES).join("\n");
  const parts = [what, stack, printed === "" ? null : `It printed:\n${printed}`];
  return new AthanorError("import_failed", parts.filter((part) => part !== null).join("\n"));
}

function parse(text: string): ChildAnswer | null {
  try {
    return JSON.parse(text) as ChildAnswer;
  } catch {
    return null;
  }
}
