import type { ReplicaExit } from "../../src/engines/engine.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import type { OpenJob, ReadyMessage, ServiceAddress } from "../../src/protocol/replica.ts";
import type { ReplicaStarter, StartReplicaRequest } from "../../src/server/replicas/hub.ts";
import type {
  CancelReason,
  HttpCall,
  JobAnswer,
  JobCall,
  JobListeners,
  OpeningJob,
  StartingReplica,
  StartTimings,
} from "../../src/server/replicas/session.ts";

/** One job that a fake replica was given; the test decides what becomes of it. */
export interface FakeCall {
  readonly open: OpenJob;
  readonly media: Uint8Array[];
  readonly on: JobListeners;
  readonly cancelled: CancelReason[];
  answer(answer: JobAnswer): void;
}

export const exitOf = (changes: Partial<ReplicaExit> = {}): ReplicaExit => ({
  code: 1,
  signal: null,
  reason: "self",
  memoryMb: null,
  lastStderr: [],
  ...changes,
});

/** A replica without a process, at the ReplicaSession interface, for races that real processes hardly ever show. */
export class FakeReplica implements StartingReplica {
  readonly request: StartReplicaRequest;
  readonly pid = null;
  /** Of a service; set it before the replica is ready. */
  address: ServiceAddress | null = null;
  readonly takesSockets = false;
  readonly timings: StartTimings = {
    processMs: null,
    fromPool: null,
    connectMs: null,
    loadMs: null,
    enterMs: null,
    listenMs: null,
  };
  readonly startedAt = Date.now();
  readonly calls: FakeCall[] = [];
  readonly ready: Promise<ReadyMessage>;
  readonly ended: Promise<ReplicaExit>;
  state: StartingReplica["state"] = "starting";
  requests = 0;
  drained = false;
  killed = false;
  /** Its connection has broken, and nobody knows yet. */
  broken = false;
  readonly #ready = Promise.withResolvers<ReadyMessage>();
  readonly #ended = Promise.withResolvers<ReplicaExit>();
  readonly #open = new Map<FakeCall, (answer: JobAnswer) => void>();
  readonly #onOpen: (call: FakeCall) => void;

  constructor(request: StartReplicaRequest, onOpen: (call: FakeCall) => void) {
    this.request = request;
    this.#onOpen = onOpen;
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    this.ready.catch(() => {});
  }

  get id(): string {
    return this.request.replicaId;
  }
  get deployment(): number {
    return this.request.deployment.number;
  }
  get group(): string {
    return this.request.group.name;
  }
  get jobs(): number {
    return this.#open.size;
  }

  get takesCalls(): boolean {
    return this.state === "ready";
  }

  probe(): void {}

  onTakesCalls(): void {}

  becomeReady(): void {
    this.state = "ready";
    this.#ready.resolve({ address: this.address, takesSockets: false, timings: { loadMs: 0, enterMs: 0 } });
  }

  failToStart(error: Error): void {
    this.#ready.reject(error);
    this.end(exitOf());
  }

  /** The process ends: open jobs are lost, as a real session answers them. */
  end(exit: ReplicaExit): void {
    if (this.state === "ended") return;
    this.state = "ended";
    for (const call of [...this.#open.keys()]) call.answer({ type: "lost", exit, blameless: false });
    this.#ended.resolve(exit);
  }

  openJob({ inputText, ...head }: OpeningJob, media: Uint8Array[], on: JobListeners): JobCall {
    if (this.state !== "ready") throw new Error(`${this.id} is ${this.state}`);
    if (this.broken) throw new AthanorError("replica_crashed", `${this.id} takes no calls: it is leaving`);
    const { promise, resolve } = Promise.withResolvers<JobAnswer>();
    const cancelled: CancelReason[] = [];
    const call: FakeCall = {
      open: { ...head, input: JSON.parse(inputText) },
      media,
      on,
      cancelled,
      answer: (answer) => {
        this.#open.delete(call);
        resolve(answer);
        if (this.drained && this.#open.size === 0) this.end(exitOf({ code: 0, reason: "stopped" }));
      },
    };
    this.#open.set(call, resolve);
    this.calls.push(call);
    this.#onOpen(call);
    return { answer: promise, cancel: (reason) => void cancelled.push(reason) };
  }

  openHttp(): HttpCall {
    throw new Error("a fake replica takes no HTTP calls");
  }

  drain(): Promise<ReplicaExit> {
    this.drained = true;
    if (this.state !== "ended") this.state = "draining";
    if (this.#open.size === 0) this.end(exitOf({ code: 0, reason: "stopped" }));
    return this.ended;
  }

  kill(): Promise<ReplicaExit> {
    this.killed = true;
    this.#ready.reject(new Error("killed"));
    this.end(exitOf({ code: null, signal: "SIGKILL", reason: "stopped" }));
    return this.ended;
  }

  onLog(): void {}
}

/** Starts fake replicas, and lets a test wait for what happens to them. */
export class FakeStarter implements ReplicaStarter {
  readonly replicas: FakeReplica[] = [];
  readonly calls: FakeCall[] = [];
  /** Ready in the same turn. */
  autoReady = true;
  /** Called for each replica before it is ready. */
  onStart: (replica: FakeReplica) => void = () => {};
  /** Called for each job that a replica is given. */
  onCall: (call: FakeCall, replica: FakeReplica) => void = () => {};
  #watchers: (() => void)[] = [];

  startReplica(request: StartReplicaRequest): StartingReplica {
    const replica: FakeReplica = new FakeReplica(request, (call) => {
      this.calls.push(call);
      this.onCall(call, replica);
      this.#changed();
    });
    this.replicas.push(replica);
    this.onStart(replica);
    if (this.autoReady) replica.becomeReady();
    this.#changed();
    return replica;
  }

  /** The nth job given to any replica, from 1; waits until it is there. */
  async call(n: number): Promise<FakeCall> {
    await this.until(() => this.calls.length >= n);
    return this.calls[n - 1] as FakeCall;
  }

  async replica(n: number): Promise<FakeReplica> {
    await this.until(() => this.replicas.length >= n);
    return this.replicas[n - 1] as FakeReplica;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  #changed(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}
