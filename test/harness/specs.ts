import { FUNCTION_DEFAULTS, QUEUE_DEFAULTS } from "../../src/protocol/defaults.ts";
import { groupsOf } from "../../src/protocol/groups.ts";
import type {
  AppSpec,
  EndpointSpec,
  FunctionSpec,
  PlacementSpec,
  ServiceKind,
  ServiceSpec,
} from "../../src/protocol/spec.ts";
import type { RunnableDeployment } from "../../src/server/scheduler/deployment.ts";

export function placement(memoryMb: number): PlacementSpec {
  return {
    cpu: 1,
    memoryMb,
    diskGb: null,
    gpu: [],
    gpuCount: 0,
    minVramGb: null,
    geolocation: [],
    offerFilters: {},
    env: {},
  };
}

/** A function as a build would describe it, with any of its fields changed. */
export function functionSpec(name: string, changes: Partial<FunctionSpec> = {}): FunctionSpec {
  return {
    name,
    codeName: name,
    className: null,
    kind: "function",
    description: null,
    deprecated: false,
    source: { file: "app.ts", line: 1 },
    endpoint: null,
    service: null,
    queue: { ...QUEUE_DEFAULTS },
    placement: placement(128),
    timeoutS: 60,
    concurrency: 1,
    minReplicas: 0,
    maxReplicas: 1,
    keepWarmS: 600,
    scaleUpDelayS: 0,
    retries: { max: 0, delayS: 0, backoff: 1, maxDelayS: 1, jitter: 0 },
    limits: { concurrency: null, keyConcurrency: 1, rate: null },
    priority: 0,
    expireS: null,
    batch: null,
    schedule: null,
    events: { window: FUNCTION_DEFAULTS.eventsWindow, windowBytes: FUNCTION_DEFAULTS.eventsWindowBytes },
    input: { mode: "params", params: [], schema: true },
    output: { schema: null, stream: false, standard: false },
    ...changes,
  };
}

export function endpointSpec(
  name: string,
  changes: Partial<FunctionSpec> = {},
  endpoint: Partial<EndpointSpec> = {},
): FunctionSpec {
  return functionSpec(name, {
    kind: "endpoint",
    queue: null,
    concurrency: 100,
    endpoint: {
      path: `/${name}`,
      methods: ["POST"],
      summary: null,
      tags: [],
      maxUploadFileSizeMb: 1,
      access: "public",
      cors: null,
      serviceStartupTimeoutS: 60,
      drainTimeoutS: 5,
      ...endpoint,
    },
    ...changes,
  });
}

export function serviceSpec(
  name: string,
  kind: ServiceKind,
  service: Partial<ServiceSpec> = {},
  changes: Partial<FunctionSpec> = {},
): FunctionSpec {
  return functionSpec(name, {
    kind,
    queue: null,
    concurrency: 100,
    service: {
      path: `/${name}`,
      healthPath: null,
      startupTimeoutS: 60,
      server: null,
      python: null,
      access: "public",
      cors: null,
      serviceStartupTimeoutS: 60,
      drainTimeoutS: 5,
      ...service,
    },
    ...changes,
  });
}

export function deploymentOf(
  number: number,
  functions: FunctionSpec[],
  app = "demo",
): RunnableDeployment & { spec: AppSpec } {
  const spec: AppSpec = { specVersion: 1, name: app, compute: "dedicated", functions, $defs: {} };
  return {
    number,
    app,
    spec,
    dir: "",
    bundlePath: "",
    validatorsPath: "",
    groups: groupsOf(spec),
    fn: (name) => functions.find((fn) => fn.name === name),
  };
}
