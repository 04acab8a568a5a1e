import { join } from "node:path";
import { ProcessEngine } from "../engines/process.ts";
import { WEBHOOK_DEFAULTS } from "../protocol/defaults.ts";
import type { ReplicaGroup } from "../protocol/groups.ts";
import { isFinal } from "../protocol/job.ts";
import { formatId } from "../protocol/names.ts";
import { Auth, makeToken } from "./auth.ts";
import { Blobs } from "./blobs/blobs.ts";
import { Chaos } from "./chaos.ts";
import type { Config } from "./config.ts";
import type { LoadedDeployment } from "./deployments/loaded.ts";
import { ReplicaLogs } from "./deployments/logs.ts";
import { DeploymentService } from "./deployments/service.ts";
import { tryDeployment } from "./deployments/trial.ts";
import { EventLog } from "./events/event-log.ts";
import { ServerEvents } from "./events/server-events.ts";
import { layFoundation } from "./foundation.ts";
import { Gateway } from "./gateway/gateway.ts";
import { EventStreams } from "./http/event-stream.ts";
import { Jobs } from "./jobs/jobs.ts";
import { Lease } from "./lease.ts";
import type { Log } from "./log.ts";
import { Maintenance } from "./maintenance.ts";
import { boundedResolve } from "./net/public-host.ts";
import { ReplicaHub } from "./replicas/hub.ts";
import type { ReplicaSession } from "./replicas/session.ts";
import { Rescue } from "./rescue.ts";
import type { ReplicaTrouble } from "./scheduler/lifecycle.ts";
import { Scheduler } from "./scheduler/scheduler.ts";
import { Schedules } from "./schedules/schedules.ts";
import { makeSocketFolder } from "./socket-folder.ts";
import type { JobRecord, Store } from "./store/store.ts";
import { webhookBody } from "./webhooks/body.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

/** Everything that a server is made of, wired. What handles a request gets this and nothing global. */
export interface Context {
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Aborted when the server begins to stop: whoever waits or streams lets go. */
  readonly stopping: AbortSignal;
  readonly auth: Auth;
  readonly store: Store;
  /** This server among those of the store. */
  readonly lease: Lease;
  readonly blobs: Blobs;
  readonly events: EventLog;
  readonly serverEvents: ServerEvents;
  readonly streams: EventStreams;
  readonly logs: ReplicaLogs;
  readonly scheduler: Scheduler;
  readonly jobs: Jobs;
  readonly schedules: Schedules;
  readonly webhooks: Webhooks;
  readonly deployments: DeploymentService;
  readonly gateway: Gateway;
  /** Faults on purpose; there are none unless they were asked for. */
  readonly chaos: Chaos | undefined;
  /** Where this server is reached on this machine. */
  url(): string;
  isReady(): boolean;
}

/** What the gateway, itself a part, is given. */
export type GatewayContext = Omit<Context, "gateway">;

/** Parts in the order in which they start; they stop in the reverse one. */
export interface WiredContext extends Context {
  start(): Promise<void>;
  /** New requests are refused, and whoever waits or streams lets go. Then the socket can be closed. */
  beginStop(): void;
  /** Ends all that runs, and closes the store. */
  stop(): Promise<void>;
}

export interface ContextOptions {
  config: Config;
  log: Log;
  version: string;
  /** Null: it is to be made. */
  token: string | null;
  /** The program of a replica. */
  runtimePath: string;
  env: NodeJS.ProcessEnv;
  /** Known once the socket listens. */
  url(): string;
  /** The same without TLS, for programs on this machine. */
  localUrl(): string;
}

/** The one place that wires. */
export async function createContext(p: ContextOptions): Promise<WiredContext> {
  const { config, log } = p;
  const { store, secret, numbers } = await layFoundation(config, log);
  const chaos = config.chaos === null ? undefined : new Chaos({ seed: config.chaos, log });
  if (chaos !== undefined)
    log.warn({ seed: config.chaos }, "chaos: calls will be lost, doubled, delayed and cut on purpose");
  const stopping = new AbortController();
  const liveReplicas = new Set<string>();
  const auth = new Auth({
    token: p.token ?? makeToken(config, secret),
    secret,
    isLive: (replicaId) => liveReplicas.has(replicaId),
  });
  const logs = new ReplicaLogs({ dir: join(config.dataDir, "logs"), log });
  const socket = makeSocketFolder(config.dataDir);
  const { address } = socket;
  const engine = new ProcessEngine({
    dir: join(config.dataDir, "replicas"),
    runtimePath: p.runtimePath,
    address,
    blankReplicas: config.blankReplicas,
  });
  const hub = new ReplicaHub({ engine, address, log, inspect: config.inspect });
  const access = (deployment: { app: string }, replicaId: string) => ({
    serverUrl: p.localUrl(),
    serverToken: auth.replicaToken(deployment.app, replicaId),
  });
  const onReplica = (session: ReplicaSession, deployment: { number: number }, group: ReplicaGroup): void => {
    liveReplicas.add(session.id);
    void session.ended.then(() => liveReplicas.delete(session.id));
    keepLines(logs, session, deployment.number, group);
  };
  const serverEvents = new ServerEvents({ now: () => store.clock() });
  const scheduler = new Scheduler({
    starter: hub,
    nextReplica: () => numbers.next(),
    access,
    log,
    onReplica: (session, deployment, group) => {
      onReplica(session, deployment, group);
      chaos?.replica(session);
    },
    onState: (change) => serverEvents.replica(change),
    onTrouble: (trouble) => keepTrouble(logs, trouble),
  });
  const blobs = new Blobs({ dir: config.blobsDir, shared: store.shared });
  const events = new EventLog({ store, log, now: () => store.clock() });
  const streams = new EventStreams({ log, stopping: stopping.signal });
  const trial = (deployment: LoadedDeployment, signal: AbortSignal): Promise<void> =>
    tryDeployment({
      deployment,
      starter: hub,
      replicaId: formatId("replicas", numbers.next()),
      access,
      onReplica,
      isSole: (group) => scheduler.isSole(deployment.app, group),
      signal,
    });
  const deployments: DeploymentService = new DeploymentService({
    store,
    blobs,
    dataDir: config.dataDir,
    log,
    env: p.env,
    inspect: config.inspect,
    trial,
    prepare: (deployment) => scheduler.prepare(deployment),
    abandon: (deployment) => scheduler.abandon(deployment),
    inUse: () => new Set(Array.from(scheduler.groups(), ({ deployment }) => deployment.number)),
    lastStderr: (deployment, limit) => logs.lastStderr(deployment, limit),
    now: () => store.clock(),
    onFailed: (deployment, error) => serverEvents.deployment(deployment, "failed", error),
    onChange: ({ live, added, retired }) => {
      gateway.setLive(live);
      if (retired) serverEvents.deployment(retired, added ? "superseded" : "deleted");
      if (added) serverEvents.deployment(added, "live");
      schedules.wake();
      if (retired) scheduler.retire(retired.number);
      if (added) scheduler.add(added);
      else {
        events.refresh();
        if (retired) jobs.dropApp(retired.app);
      }
    },
  });
  const changed = (record: JobRecord): void => {
    serverEvents.job(record);
    if (record.hasWebhook && isFinal(record.status)) webhooks.wake();
  };
  // The lease's name is the owner of the jobs, and what becomes of the lease is told to them.
  const lease: Lease = new Lease({
    store,
    log,
    lost: () => jobs.leaseLost(),
    led: () => void rescue.run(),
    leadChanged: () => schedules.wake(),
  });
  const jobs = new Jobs({
    store,
    owner: () => lease.server,
    scheduler,
    events,
    blobs,
    deployments,
    log,
    chaos,
    changed,
  });
  const rescue = new Rescue({
    store,
    server: () => lease.server,
    rescued: (changes) => jobs.rescued(changes),
    leads: () => lease.leads,
    log,
  });
  const schedules: Schedules = new Schedules({
    store,
    jobs,
    log,
    leads: () => lease.leads,
    find: (app, name) => {
      const deployment = deployments.live(app);
      const fn = deployment?.fn(name);
      return deployment && fn ? { deployment, fn } : null;
    },
  });
  const webhooks: Webhooks = new Webhooks({
    store,
    log,
    resolve: boundedResolve(WEBHOOK_DEFAULTS.maxLookups),
    allowPrivate: config.allowPrivateWebhooks,
    userAgent: `Athanor/${p.version}`,
    idOf: (job) => auth.webhookId(job),
    bodyOf: (job) =>
      webhookBody({
        job,
        toJson: (record) => jobs.toJson(record),
        key: auth.jobKey(job.job),
        origin: config.publicUrl ?? p.url(),
      }),
  });
  // The jobs, deployments and timers listen for themselves.
  const unsubscribe = store.subscribe((signal) => {
    events.signalled(signal);
    serverEvents.signalled(signal);
  });
  let ready = false;

  const parts = {
    config,
    log,
    version: p.version,
    startedAt: Date.now(),
    stopping: stopping.signal,
    auth,
    store,
    lease,
    blobs,
    events,
    serverEvents,
    streams,
    logs,
    scheduler,
    jobs,
    schedules,
    webhooks,
    deployments,
    chaos,
    url: p.url,
    isReady: () => ready,
  };
  const gateway = new Gateway(parts);
  const context: Context = { ...parts, gateway };
  const maintenance = new Maintenance({ context });
  const beginStop = (): void => {
    ready = false;
    stopping.abort();
    deployments.beginStop();
  };

  return {
    ...context,
    beginStop,
    start: async () => {
      await Promise.all([hub.start(), logs.start(), blobs.start(), lease.start()]);
      await engine.start();
      await scheduler.start();
      await deployments.start();
      await jobs.start();
      schedules.start();
      webhooks.start();
      maintenance.start();
      ready = true;
    },
    stop: async () => {
      beginStop();
      await maintenance.stop();
      await deployments.stop();
      await schedules.stop();
      await jobs.stop();
      await webhooks.stop();
      await lease.stop();
      await rescue.stop();
      await scheduler.stop();
      unsubscribe();
      await events.stop();
      await hub.stop();
      await engine[Symbol.asyncDispose]();
      socket.remove();
      await logs.flush();
      numbers.close();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** Why a replica is not there stands among the lines of those that are. */
function keepTrouble(logs: ReplicaLogs, { deployment, group, replicaId, message }: ReplicaTrouble): void {
  logs.append(deployment, {
    at: new Date().toISOString(),
    replica_id: replicaId ?? "",
    function: onlyFunction(group),
    job_id: null,
    stream: "stderr",
    line: `[athanor] ${message}`,
  });
}

/** A line of no known call, of a replica of several functions, may be any one's. */
function onlyFunction({ functions }: ReplicaGroup): string | null {
  return functions.length === 1 ? (functions[0]?.name ?? null) : null;
}

function keepLines(logs: ReplicaLogs, session: ReplicaSession, deployment: number, group: ReplicaGroup): void {
  const fn = onlyFunction(group);
  logs.open(deployment, session.ended);
  session.onLog(({ fd, line, at }, writer) => {
    logs.append(deployment, {
      at: new Date(at).toISOString(),
      replica_id: session.id,
      function: writer?.function ?? fn,
      job_id: writer?.jobId ?? null,
      stream: fd,
      line,
    });
  });
}
