import { AthanorError, ERRORS, type ErrorCode } from "../protocol/errors.ts";
import type { DeployResult, Problem } from "../protocol/wire.ts";
import { serverAddress } from "./connection.ts";
import { nodeModule } from "./node.ts";
import { runtimeGlobal } from "./registry.ts";

interface DeployParams {
  /** A path or file URL; null: it is not known. */
  entry: string | URL | null;
  url?: string | undefined;
  token?: string | undefined;
}

/**
 * Runs `athanor deploy` in a process of its own: the compiler and the bundler stay out of the caller's memory, and a deploy from code
 * is by construction the same as one from the shell. Returns the deployment's id.
 */
export async function deploy(params: DeployParams): Promise<string> {
  if (runtimeGlobal()) throw new AthanorError("usage", "app.deploy() was called in a replica; deploy from outside");
  if (params.entry === null) {
    throw new AthanorError("usage", "the file of `new App(...)` is not known here", {
      hint: 'Name it: app.deploy({ entry: "app.ts" }).',
    });
  }
  const { status, stdout, stderr } = await runCli(["deploy", pathOf(params.entry), "--json"], params);
  const answer = parse(status === 0 ? stdout : (stderr.trim().split("\n").at(-1) ?? ""));
  if (status === 0 && answer && "deployment" in answer) return answer.deployment.deployment_id;
  const problem = answer && "code" in answer ? answer : null;
  const code: ErrorCode = problem && problem.code in ERRORS ? (problem.code as ErrorCode) : "build_failed";
  const detail = problem?.detail ?? `athanor deploy ended with status ${status}: ${stderr.trim()}`;
  throw new AthanorError(code, detail, problem ? { hint: problem.hint } : {});
}

function pathOf(entry: string | URL): string {
  const text = String(entry);
  return text.startsWith("file:") ? nodeModule("node:url").fileURLToPath(text) : text;
}

/** This package's own CLI: the TypeScript source where this file is source, else what stands beside `dist`. */
function cliPath(): string {
  const relative = import.meta.url.endsWith(".ts") ? "../cli/main.ts" : "../bin/athanor.mjs";
  return nodeModule("node:url").fileURLToPath(new URL(relative, import.meta.url));
}

function runCli(
  args: string[],
  given: DeployParams,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const { url, token } = serverAddress(given);
  // The token goes by the environment: a command line is open to every user of the machine.
  const env = { ...process.env, ATHANOR_URL: url, ...(token === null ? {} : { ATHANOR_TOKEN: token }) };
  return new Promise((resolve, reject) => {
    const child = nodeModule("node:child_process").spawn(process.execPath, [cliPath(), ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
}

function parse(stdout: string): DeployResult | Problem | null {
  try {
    return JSON.parse(stdout) as DeployResult | Problem;
  } catch {
    return null;
  }
}
