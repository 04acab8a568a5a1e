import { type ChildProcess, spawn } from "node:child_process";
import { basename } from "node:path";

const MAX_OUTPUT_CHARS = 16 * 1024;
const LAST_LINES = 15;

export interface ToolResult {
  ok: boolean;
  /** Why it is not ok. */
  reason: string;
  /** All that it wrote to stdout, up to a limit. */
  stdout: string;
  /** The last lines of what it printed. */
  lastLines: string;
}

/** Runs an installer in the folder, in a process group of its own, which is killed when the time is over or the signal aborts. */
export async function runTool(p: {
  /** What messages call it. Default: the file's name. */
  name?: string;
  file: string;
  args: string[];
  cwd: string;
  timeoutMs: number;
  signal: AbortSignal;
  env: Record<string, string>;
}): Promise<ToolResult> {
  const name = p.name ?? basename(p.file);
  const child = spawn(p.file, p.args, { cwd: p.cwd, env: p.env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let stdout = "";
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (stdout.length < MAX_OUTPUT_CHARS) stdout += text;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARS);
    });
  }
  const stop = AbortSignal.any([p.signal, AbortSignal.timeout(p.timeoutMs)]);
  const onStop = (): void => killGroup(child);
  stop.addEventListener("abort", onStop, { once: true });
  const reason = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`${name} could not be started: ${error.message}`));
    child.once("close", (code, signal) =>
      resolve(code === 0 ? "" : `${name} ended with ${code === null ? signal : `status ${code}`}`),
    );
    if (stop.aborted) onStop();
  });
  stop.removeEventListener("abort", onStop);
  const stopped = p.signal.aborted
    ? "the server stopped"
    : stop.aborted
      ? `${name} took longer than ${p.timeoutMs / 1000} s`
      : reason;
  const lastLines = output.trim().split("\n").slice(-LAST_LINES).join("\n");
  return { ok: reason === "", reason: stopped, stdout, lastLines };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has gone by itself.
  }
}
