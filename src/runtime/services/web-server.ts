/** Services that bind a port by themselves: a start function in this process, or a program. */
import { constants } from "node:os";
import { delimiter, dirname } from "node:path";
import { AthanorError } from "../../protocol/errors.ts";
import type { WebServerSpec } from "../../protocol/spec.ts";
import { BoundPort } from "./bound.ts";
import { mapArguments, mapListen } from "./own-port.ts";
import { HOST } from "./ports.ts";
import { Program, type ProgramExit } from "./program.ts";
import type { RunningService, ServiceStart } from "./service.ts";
import { inTime } from "./startup.ts";

export async function startWebServer(start: ServiceStart): Promise<RunningService> {
  const { name, service } = start.fn.spec;
  const server = service.server as WebServerSpec;
  const bound = await BoundPort.watch({ given: Number(process.env.PORT), declared: server.port });
  const { started, close } = server.command === null ? inProcess(start, bound) : program(start, server.command, bound);
  try {
    const address = await inTime(
      service.startupTimeoutS,
      async () => started,
      async () => `${name} has not bound its port: ${await bound.describe()}`,
    );
    if (address.port !== bound.given) warn(start, bound);
    return { address, handler: null, connect: null, close };
  } finally {
    bound.stop();
  }
}

interface Started {
  started: Promise<Awaited<ReturnType<BoundPort["found"]>>>;
  close(): Promise<void>;
}

function inProcess(start: ServiceStart, bound: BoundPort): Started {
  mapListen(bound.declared, bound.given);
  const made = Promise.resolve().then(() => start.fn.call({ port: bound.given, host: HOST }));
  let closable: unknown;
  const started = made.then((value) => {
    closable = value;
    return bound.found();
  });
  return { started, close: () => closeMade(closable) };
}

function program(start: ServiceStart, given: string[], bound: BoundPort): Started {
  const { name, service } = start.fn.spec;
  const command = mapArguments(given, bound.declared, bound.given);
  // A command `node` is the one that Athanor itself runs on.
  const PATH = [dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
  const running = new Program({ command, cwd: start.filesDir, env: { ...process.env, PATH }, write: start.write });
  let state: "starting" | "running" | "closing" = "starting";
  const ended = running.exited.then((exit): never => {
    if (state === "running") start.ended(statusOf(exit));
    const said = running.takeLastStderr().join("\n");
    const why = bound.declaredIsTaken ? ` (${bound.taken})` : "";
    const what = `${name}: ${command[0]} ended with ${exit.how} before it listened${why}`;
    throw new AthanorError("startup_failed", `${what}\n${said}`.trim());
  });
  ended.catch(() => {});
  const started = Promise.race([bound.found(), ended]).then((address) => {
    state = "running";
    return address;
  });
  const close = async (): Promise<void> => {
    state = "closing";
    await running.stop(service.drainTimeoutS * 1000);
  };
  return { started, close };
}

/** As a shell tells it. */
function statusOf({ code, signal }: ProgramExit): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

function warn({ fn, write }: ServiceStart, { declared, given }: BoundPort): void {
  const { name } = fn.spec;
  const text = `${name} listens on port ${declared} and not on PORT, ${given}: no second replica of it can run on this machine, so its maxReplicas is 1, and at a deploy requests wait until it has ended and the new one has started\n`;
  write("stderr", Buffer.from(text));
}

/** Whatever a start function returned, by the first of these that it has. */
async function closeMade(made: unknown): Promise<void> {
  const closable = (made ?? {}) as Record<PropertyKey, unknown>;
  for (const name of [Symbol.asyncDispose, "close", "stop", "kill"]) {
    const close = closable[name];
    if (typeof close === "function") {
      await close.call(made);
      return;
    }
  }
}
