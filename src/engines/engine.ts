import type { Socket } from "node:net";
import type { SocketMessage } from "../protocol/replica.ts";

/**
 * What starts replicas. One contract, one conformance suite (test/engine), any number of implementations. An engine knows nothing of
 * apps or jobs: it makes a process (or container, or pod) of the runtime that dials `address` with its one-time token, says how it
 * ended, and makes sure that nothing of it is left.
 */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: EngineCapabilities;
  /** Gets ready to start replicas fast: kills what an earlier server on the same data folder left behind, fills the pool of blanks. */
  start(): Promise<void>;
  /** Starts one replica. Resolves as soon as it is under way; the runtime's HELLO on the connection says that it is there. */
  startReplica(request: StartRequest): Promise<ReplicaProcess>;
  /** Replicas and blanks that are running now. */
  list(): ReplicaProcess[];
}

export interface EngineCapabilities {
  /** `memoryMb` is enforced. */
  memoryLimit: boolean;
  /** `cpu` is enforced. */
  cpuLimit: boolean;
  gpu: boolean;
}

export interface StartRequest {
  /** `replicas:7` */
  replicaId: string;
  memoryMb: number;
  /** Declared variables only; the engine adds what any process needs (PATH, HOME, TMPDIR, LANG, TZ). */
  env: Record<string, string>;
}

export interface ReplicaProcess {
  readonly replicaId: string;
  /** The token that its HELLO will bear. */
  readonly token: string;
  readonly pid: number | null;
  /** Private, empty at start, deleted at the end. */
  readonly workDir: string;
  /** What the process should be given in ASSIGN as its environment: the request's and the engine's own. */
  readonly env: Record<string, string>;
  /** Resolves once, when the process and its whole group are gone. */
  readonly exited: Promise<ReplicaExit>;
  /**
   * Lines written straight to the file descriptors, past the runtime's own capture: native code, subprocesses, fatal errors. `dropped`: how
   * many before this one were let go, since they came too fast.
   */
  onLine(listener: (stream: "stdout" | "stderr", line: string, dropped: number) => void): void;
  /**
   * Gives the process a connection, which this one then has no more; the object stands for it until it is destroyed, and so is counted by its server.
   * `failed`: it could not be given, and is still this process's. Absent: this engine has no way to.
   */
  giveSocket?(message: SocketMessage, socket: Socket, failed: () => void): void;
  /** SIGTERM to the runtime, SIGKILL to the whole group after `graceMs`. Idempotent; resolves when all is gone. */
  stop(p: { graceMs: number }): Promise<ReplicaExit>;
}

export interface ReplicaExit {
  code: number | null;
  signal: string | null;
  /**
   * `memory`: the engine killed it, over `memoryMb`; `frozen`: the engine killed it, as a signal such as SIGSTOP had kept it from running for too
   * long; `stopped`: on request; `self`: it ended by itself.
   */
  reason: "memory" | "frozen" | "stopped" | "self";
  /** The most that was seen in use, where known. */
  memoryMb: number | null;
  /** Newest last, at most 20. */
  lastStderr: string[];
}
