import { timingSafeEqual } from "node:crypto";
import { rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Engine, ReplicaProcess } from "../../engines/engine.ts";
import { FUNCTION_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { FrameConnection } from "../../protocol/frame-connection.ts";
import { FrameError } from "../../protocol/frames.ts";
import { httpFaceOf, type ReplicaGroup } from "../../protocol/groups.ts";
import { formatId } from "../../protocol/names.ts";
import { type AssignMessage, FrameType, MAX_FRAME_BYTES } from "../../protocol/replica.ts";
import type { AppSpec } from "../../protocol/spec.ts";
import { COMPILE_CACHE_DIR, FILES_DIR, interpreterOf } from "./deployment-folder.ts";
import { LiveSession } from "./live-session.ts";
import { parseHello } from "./messages.ts";
import type { StartingReplica } from "./session.ts";

/** What the hub needs to know of a deployment; a LoadedDeployment is one. */
export interface HostedDeployment {
  number: number;
  app: string;
  spec: AppSpec;
  /** The deployment's own folder; its compile cache is kept below. */
  dir: string;
  bundlePath: string;
  validatorsPath: string;
}

export interface StartReplicaRequest {
  replicaId: string;
  deployment: HostedDeployment;
  group: ReplicaGroup;
  serverUrl: string;
  serverToken: string;
}

/** Starts replicas; what the scheduler depends on. */
export interface ReplicaStarter {
  /** Returns at once, in state `starting`. */
  startReplica(request: StartReplicaRequest): StartingReplica;
}

export interface ReplicaHubOptions {
  /** Its replicas dial `address`. Its owner starts it after the hub and disposes of it after the hub's stop. */
  engine: Engine;
  /** Path of the unix socket, in a folder that only this user can enter. */
  address: string;
  log: { warn(fields: object, message: string): void };
  /** Default: SERVER_DEFAULTS.helloTimeoutMs. */
  helloTimeoutMs?: number;
  /** The function whose replicas open a debugger; default none. */
  inspect?: string | null;
}

/** Whoever has not said HELLO may not say much. */
const MAX_HELLO_BYTES = 4096;

/**
 * Where replicas connect. Owns the session of each.
 *
 *   stopped --start()--> listening --stop()--> stopped   all replicas are killed
 *
 * A connection:
 *   strange --HELLO with a token of the engine's--> known (a blank's is kept until its process is assigned) --> of a session
 *   strange --anything else, or HELLO_TIMEOUT--> closed
 */
export class ReplicaHub implements ReplicaStarter {
  readonly #engine: Engine;
  readonly #address: string;
  readonly #log: ReplicaHubOptions["log"];
  readonly #helloTimeoutMs: number;
  readonly #inspect: string | null;
  readonly #sessions = new Set<LiveSession>();
  readonly #sessionOfToken = new Map<string, LiveSession>();
  /** Connections that have said HELLO and wait for their process to be assigned, by token. */
  readonly #blanks = new Map<string, Arrival>();
  readonly #usedTokens = new WeakSet<ReplicaProcess>();
  readonly #open = new Set<Arrival>();
  #server: Server | null = null;

  constructor(options: ReplicaHubOptions) {
    this.#engine = options.engine;
    this.#address = options.address;
    this.#log = options.log;
    this.#inspect = options.inspect ?? null;
    this.#helloTimeoutMs = options.helloTimeoutMs ?? SERVER_DEFAULTS.helloTimeoutMs;
  }

  async start(): Promise<void> {
    if (this.#server) return;
    // What a server that was killed has left; nobody listens on it.
    await rm(this.#address, { force: true });
    const server = createServer((socket) => this.#arrived(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#address, resolve);
    });
  }

  /** Kills all replicas; resolves when they are gone. Repeatable. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    await Promise.all([...this.#sessions].map((session) => session.kill()));
    for (const arrival of this.#open) arrival.connection.close();
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  startReplica(request: StartReplicaRequest): StartingReplica {
    const session = new LiveSession({
      id: request.replicaId,
      deployment: request.deployment.number,
      group: request.group.name,
      startupTimeoutMs: startupTimeoutMs(request.group),
      assign: (process) => assignMessage(request, process, this.#inspect),
    });
    this.#sessions.add(session);
    void session.ended.then(() => this.#sessions.delete(session));
    void this.#launch(session, request.group);
    return session;
  }

  async #launch(session: LiveSession, group: ReplicaGroup): Promise<void> {
    const placement = group.functions[0]?.placement;
    try {
      const process = await this.#engine.startReplica({
        replicaId: session.id,
        memoryMb: placement?.memoryMb ?? FUNCTION_DEFAULTS.memoryMb,
        env: placement?.env ?? {},
      });
      this.#sessionOfToken.set(process.token, session);
      void session.ended.then(() => this.#sessionOfToken.delete(process.token));
      const blank = this.#blanks.get(process.token);
      session.attach(process, blank !== undefined);
      this.#blanks.delete(process.token);
      if (blank) this.#join(blank, session);
    } catch (error) {
      session.startFailed(error as Error);
    }
  }

  #arrived(socket: Socket): void {
    const connection = new FrameConnection(socket, {
      frame: (type, stream, payload) => {
        if (arrival.session) arrival.session.frame(type, stream, payload);
        else this.#hello(arrival, type, stream, payload);
      },
      closed: (error) => this.#closed(arrival, error),
    });
    connection.decoder.maxFrameBytes = MAX_HELLO_BYTES;
    const tooLate = () => connection.close(new FrameError(`No HELLO came within ${this.#helloTimeoutMs} ms`));
    const arrival: Arrival = {
      connection,
      timer: setTimeout(tooLate, this.#helloTimeoutMs),
      token: null,
      session: null,
    };
    this.#open.add(arrival);
  }

  #hello(arrival: Arrival, type: FrameType, stream: number, payload: Buffer): void {
    if (type !== FrameType.HELLO || stream !== 0 || arrival.token !== null)
      throw new FrameError("A connection said something else than HELLO");
    const process = this.#processOf(parseHello(payload).token);
    if (process === null || this.#usedTokens.has(process))
      throw new FrameError("A HELLO bore a token that does not hold");
    this.#usedTokens.add(process);
    clearTimeout(arrival.timer);
    arrival.token = process.token;
    const session = this.#sessionOfToken.get(process.token);
    if (session) this.#join(arrival, session);
    else this.#blanks.set(process.token, arrival);
  }

  #processOf(token: string): ReplicaProcess | null {
    let found: ReplicaProcess | null = null;
    for (const process of this.#engine.list()) if (equalInConstantTime(process.token, token)) found = process;
    return found;
  }

  #join(arrival: Arrival, session: LiveSession): void {
    arrival.connection.decoder.maxFrameBytes = MAX_FRAME_BYTES;
    arrival.session = session;
    session.connected(arrival.connection);
  }

  #closed(arrival: Arrival, error: Error | null): void {
    clearTimeout(arrival.timer);
    this.#open.delete(arrival);
    if (arrival.token !== null) this.#blanks.delete(arrival.token);
    if (error) this.#log.warn({ err: error, replica: arrival.session?.id }, "the connection of a replica broke");
    arrival.session?.connectionClosed(error);
  }
}

interface Arrival {
  connection: FrameConnection;
  timer: NodeJS.Timeout;
  token: string | null;
  session: LiveSession | null;
}

function equalInConstantTime(known: string, given: string): boolean {
  const [a, b] = [Buffer.from(known), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function startupTimeoutMs(group: ReplicaGroup): number {
  const seconds = group.functions.map(
    (fn) => httpFaceOf(fn)?.serviceStartupTimeoutS ?? FUNCTION_DEFAULTS.serviceStartupTimeoutS,
  );
  return Math.max(...seconds) * 1000;
}

function assignMessage(request: StartReplicaRequest, process: ReplicaProcess, inspect: string | null): AssignMessage {
  const { deployment, group } = request;
  const python = group.functions.find(({ service }) => service?.python);
  return {
    replicaId: request.replicaId,
    app: deployment.app,
    deploymentId: formatId("deployments", deployment.number),
    bundlePath: deployment.bundlePath,
    validatorsPath: deployment.validatorsPath,
    compileCacheDir: join(deployment.dir, COMPILE_CACHE_DIR),
    filesDir: join(deployment.dir, FILES_DIR),
    python: python === undefined ? null : interpreterOf(deployment.dir, python.name),
    workDir: process.workDir,
    env: process.env,
    inspect: group.functions.some(({ name }) => name === inspect),
    functions: group.functions,
    $defs: deployment.spec.$defs,
    serverUrl: request.serverUrl,
    serverToken: request.serverToken,
  };
}
