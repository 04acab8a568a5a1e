import { FUNCTION_DEFAULTS as F } from "../protocol/defaults.ts";
import type { Json } from "../protocol/json.ts";
import type { BatchSpec, FunctionSpec, PlacementSpec, QueueSpec, RetrySpec, ScheduleSpec } from "../protocol/spec.ts";
import { checkOptions } from "./check-options.ts";
import { invalid, type OptionSources } from "./option-sources.ts";
import type {
  AppOptions,
  BatchedOptions,
  CronOptions,
  EndpointOptions,
  EveryOptions,
  ProjectOptions,
} from "./options.ts";
import { resolveEndpoint, resolveService } from "./resolve-face.ts";
import { defined, resolveQueue } from "./resolve-queue.ts";
import type { CommandOptions } from "./service-options.ts";

/** The parts of a FunctionSpec that options decide. */
export type ResolvedOptions = Pick<
  FunctionSpec,
  | "endpoint"
  | "service"
  | "queue"
  | "placement"
  | "timeoutS"
  | "concurrency"
  | "minReplicas"
  | "maxReplicas"
  | "keepWarmS"
  | "scaleUpDelayS"
  | "retries"
  | "limits"
  | "priority"
  | "expireS"
  | "batch"
  | "schedule"
  | "events"
>;

/**
 * The one place where options become a spec: the function's own win over the app's, and those over athanor.json's and the defaults.
 * @throws AthanorError `option_invalid`, naming the option, its value and what is allowed.
 */
export function resolveOptions(sources: OptionSources): ResolvedOptions {
  checkOptions(sources.options, sources.kind, `${sources.kind} ${sources.name}`);
  checkOptions(sources.app, "app", "the app");
  checkOptions(sources.project, "project", "athanor.json");
  const own = defined<OwnOptions>(sources.options);
  const app = defined<AppOptions>(sources.app);
  const project = defined<ProjectOptions>(sources.project);
  const all = { ...app, ...own } as OwnOptions & Partial<CommandOptions>;
  const isService = sources.kind !== "function" && sources.kind !== "endpoint";
  const batch = resolveBatch(own.batch);
  const queue = isService ? null : queueOf(sources, { own, app, project, batch });
  const limit = queue === null ? null : (all.concurrency ?? null);
  const maxReplicas = all.maxReplicas ?? Math.max(F.maxReplicas, all.minReplicas ?? F.minReplicas);
  const minReplicas = all.minReplicas ?? Math.min(F.minReplicas, maxReplicas);
  if (minReplicas > maxReplicas) {
    throw invalid(sources, `minReplicas is ${minReplicas}, which is more than maxReplicas, ${maxReplicas}`);
  }
  return {
    endpoint: sources.kind === "endpoint" ? resolveEndpoint(sources, all) : null,
    service: isService ? resolveService(sources, all) : null,
    queue,
    placement: resolvePlacement(all),
    timeoutS: all.timeoutS ?? F.timeoutS,
    concurrency: queue === null ? (all.concurrency ?? F.endpointConcurrency) : queue.maxWorkers,
    minReplicas,
    maxReplicas,
    keepWarmS: all.keepWarmS ?? F.keepWarmS,
    scaleUpDelayS: all.scaleUpDelayS ?? F.scaleUpDelayS,
    retries: resolveRetries(all.retries),
    limits: {
      concurrency: limit,
      keyConcurrency: all.keyConcurrency ?? F.keyConcurrency,
      rate: all.rateLimit && queue !== null ? { limit: all.rateLimit.limit, perS: all.rateLimit.perS } : null,
    },
    priority: all.priority ?? F.priority,
    expireS: all.expireS ?? null,
    batch,
    schedule: resolveSchedule(own.schedule),
    events: {
      window: all.events?.window ?? F.eventsWindow,
      windowBytes: all.events?.windowBytes ?? F.eventsWindowBytes,
    },
  };
}

/** The app's `compute`. @throws AthanorError `option_invalid` for any option of the app that is wrong. */
export function resolveCompute(app: object): "dedicated" | "serverless" {
  checkOptions(app, "app", "the app");
  return (app as AppOptions).compute ?? "dedicated";
}

type OwnOptions = EndpointOptions & Partial<BatchedOptions>;

function queueOf(
  sources: OptionSources,
  p: { own: OwnOptions; app: AppOptions; project: ProjectOptions; batch: BatchSpec | null },
): QueueSpec | null {
  const kind = sources.kind as "function" | "endpoint";
  const queue = resolveQueue({ kind, ...p, refuse: (what) => invalid(sources, what) });
  if (queue === null) refuseOfQueues(sources, p.own);
  const limit = queue === null ? undefined : (p.own.concurrency ?? p.app.concurrency);
  if (p.batch !== null && limit !== undefined && limit < p.batch.maxSize) {
    const what = `concurrency is ${limit}, which is less than batch.maxSize, ${p.batch.maxSize}: a batch would never be full`;
    throw invalid(sources, what);
  }
  return queue;
}

const OF_QUEUES = ["rateLimit", "keyConcurrency", "batch"] as const;

/** Who limits a synchronous endpoint by what holds for jobs would find it unlimited. */
function refuseOfQueues(sources: OptionSources, own: OwnOptions): void {
  const given = OF_QUEUES.find((name) => own[name] !== undefined);
  if (given === undefined) return;
  throw invalid(sources, `${given} is given, but the endpoint is synchronous, and it holds for jobs: give it a queue`);
}

function resolveBatch(batch: OwnOptions["batch"]): BatchSpec | null {
  return batch === undefined ? null : { maxSize: batch.maxSize, waitMs: batch.waitMs ?? F.batchWaitMs };
}

function resolveSchedule(given: EndpointOptions["schedule"]): ScheduleSpec | null {
  if (given === undefined) return null;
  const schedule: CronOptions | EveryOptions = typeof given === "string" ? { cron: given } : given;
  const { missed = "run_once" } = schedule;
  if (schedule.everyS !== undefined) return { type: "every", everyS: schedule.everyS, missed };
  return { type: "cron", cron: schedule.cron, timeZone: schedule.timeZone ?? "UTC", missed };
}

function resolvePlacement(all: EndpointOptions): PlacementSpec {
  const gpu = all.gpu === undefined ? [] : typeof all.gpu === "string" ? [all.gpu] : [...all.gpu];
  return {
    cpu: all.cpu ?? F.cpu,
    memoryMb: all.memoryMb ?? F.memoryMb,
    diskGb: all.diskGb ?? null,
    gpu,
    gpuCount: all.gpuCount ?? (gpu.length > 0 ? 1 : F.gpuCount),
    minVramGb: all.minVramGb ?? null,
    geolocation: [...(all.geolocation ?? [])],
    offerFilters: structuredClone((all.offerFilters ?? {}) as Record<string, Record<string, Json>>),
    env: sorted(all.env ?? {}),
  };
}

function resolveRetries(retries: EndpointOptions["retries"]): RetrySpec {
  const given = typeof retries === "number" ? { max: retries } : (retries ?? { max: 0 });
  return {
    max: given.max,
    delayS: given.delayS ?? F.retryDelayS,
    backoff: given.backoff ?? F.retryBackoff,
    maxDelayS: given.maxDelayS ?? F.retryMaxDelayS,
    jitter: given.jitter ?? F.retryJitter,
  };
}

/** By name, so that the order in code does not change the digest of a deployment. */
function sorted(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1)));
}
