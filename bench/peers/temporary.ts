import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder that is gone at the end. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "athanor-bench-"));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error(`no port in ${String(address)}`);
  return address.port;
}

/** Ends a process that this run started, and waits until it is gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

/** Starts a program and waits until a line of its output matches. */
export async function startUntil(
  command: string,
  args: string[],
  options: {
    pattern: RegExp;
    env?: NodeJS.ProcessEnv;
    cwd?: string;
    uid?: number;
    gid?: number;
    /** Default: closed. */
    stdin?: "pipe";
  },
): Promise<{ child: ChildProcess; match: RegExpExecArray }> {
  const { pattern, stdin = "ignore", ...rest } = options;
  const child = spawn(command, args, {
    ...rest,
    stdio: [stdin, "pipe", "pipe"],
  });
  let output = "";
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const onData = (data: Buffer) => {
      output = (output + data.toString()).slice(-20_000);
      const found = pattern.exec(output);
      if (found) resolve(found);
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${command} ended with ${code} before it was ready:\n${output}`)));
  });
  return { child, match };
}
