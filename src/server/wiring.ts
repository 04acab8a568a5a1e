import { WEBHOOK_DEFAULTS } from "../protocol/defaults.ts";
import { isFinal } from "../protocol/job.ts";
import { Auth, makeToken } from "./auth.ts";
import { Blobs } from "./blobs/blobs.ts";
import { Chaos } from "./chaos.ts";
import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { DeploymentService } from "./deployments/service.ts";
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
import { wireReplicas } from "./replica-parts.ts";
import { Rescue } from "./rescue.ts";
import { Schedules } from "./schedules/schedules.ts";
import type { JobRecord } from "./store/store.ts";
import { webhookBody } from "./webhooks/body.ts";
import { Webhooks } from "./webhooks/webhooks.ts";

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
  const auth = new Auth({
    token: p.token ?? makeToken(config, secret),
    secret,
    isLive: (replicaId) => replicas.isLive(replicaId),
  });
  const serverEvents = new ServerEvents({ now: () => store.clock() });
  const replicas = wireReplicas({
    config,
    log,
    runtimePath: p.runtimePath,
    numbers,
    chaos,
    serverEvents,
    access: ({ app }, replicaId) => ({ serverUrl: p.localUrl(), serverToken: auth.replicaToken(app, replicaId) }),
  });
  const { logs, scheduler } = replicas;
  const blobs = new Blobs({ dir: config.blobsDir, shared: store.shared });
  const events = new EventLog({ store, log, now: () => store.clock() });
  const streams = new EventStreams({ log, stopping: stopping.signal });
  const deployments: DeploymentService = new DeploymentService({
    store,
    blobs,
    dataDir: config.dataDir,
    log,
    env: p.env,
    inspect: config.inspect,
    trial: replicas.tryOut,
    prepare: (deployment, spare) => scheduler.prepare(deployment, spare),
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
  const maintenance = new Maintenance(parts);
  const beginStop = (): void => {
    ready = false;
    stopping.abort();
    deployments.beginStop();
  };

  return {
    ...parts,
    gateway,
    beginStop,
    start: async () => {
      await Promise.all([blobs.start(), lease.start()]);
      await replicas.start();
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
      await replicas.stop();
      numbers.close();
      await store[Symbol.asyncDispose]();
    },
  };
}
