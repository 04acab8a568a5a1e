import type { Socket } from "node:net";
import type { ServiceAddress } from "../../protocol/replica.ts";
import type { FunctionSpec, ServiceSpec } from "../../protocol/spec.ts";
import type { LoadedFunction } from "../load.ts";
import type { FetchHandler } from "./fetch-handler.ts";
import { inTime } from "./startup.ts";

/** A service whose code has been started. */
export interface RunningService {
  /** Where it listens; null: it is called in frames. */
  address: ServiceAddress | null;
  /** Of `fetch`. */
  handler: FetchHandler | null;
  /** Gives its HTTP server a connection; null: that is not in this process, or there is none. */
  connect: ((socket: Socket) => void) | null;
  /** Ends it, after its last call. */
  close(): Promise<void>;
}

/** What each kind of service is started with. */
export interface ServiceStart {
  fn: LoadedFunction & { spec: FunctionSpec & { service: ServiceSpec } };
  workDir: string;
  /** Of the files that ship with the deployment. */
  filesDir: string;
  /** The interpreter of its Python environment, if it is in Python. */
  python: string | null;
  /** Another folder that only this user can enter, with a shorter path. */
  shortDir: string;
  /** What the program of the service writes. */
  write(fd: "stdout" | "stderr", bytes: Uint8Array): void;
  /** The service has ended by itself, and the replica with it. */
  ended(exitCode: number): void;
}

/**
 * Starts the service that this replica is for; null where it is for functions and endpoints. Each kind's code is loaded only where it is needed. Where
 * it throws, the replica leaves, and all that was started is killed with it.
 */
export async function startService(
  start: Omit<ServiceStart, "fn"> & { functions: Iterable<LoadedFunction> },
): Promise<RunningService | null> {
  for (const fn of start.functions) {
    if (fn.spec.service !== null) return startReady({ ...start, fn: fn as ServiceStart["fn"] });
  }
  return null;
}

/** Started, and healthy where its options say by what that is known; all within its `startupTimeoutS`. */
async function startReady(start: ServiceStart): Promise<RunningService> {
  const { name, service } = start.fn.spec;
  const startedAt = performance.now();
  const running = await startKind(start);
  if (service.healthPath === null || running.address === null) return running;
  const { Health } = await import("./health.ts");
  const health = new Health(running.address, service.healthPath);
  const usedS = (performance.now() - startedAt) / 1000;
  try {
    await inTime(
      service.startupTimeoutS,
      () => health.good(),
      () => `${name} was not healthy: ${health.described}`,
      usedS,
    );
  } finally {
    health.stop();
  }
  return running;
}

async function startKind(start: ServiceStart): Promise<RunningService> {
  switch (start.fn.spec.kind) {
    case "fetch":
      return (await import("./fetch.ts")).startFetch(start);
    case "node":
      return (await import("./node.ts")).startNode(start);
    case "webServer":
      return (await import("./web-server.ts")).startWebServer(start);
    case "asgi":
    case "wsgi":
      return (await import("./python.ts")).startPython(start);
    default:
      throw new Error(`This version of Athanor cannot run a service of kind ${start.fn.spec.kind}`);
  }
}
