import type { JsonSchema } from "../protocol/json.ts";
import type { AppSpec, FunctionSpec, InputSpec, ParamSpec } from "../protocol/spec.ts";
import { compileValidators } from "./compile.ts";
import { loadValidators, type Validators } from "./validators.ts";

type Properties = { [name: string]: JsonSchema };

/** For the tests of this folder: a function whose parameters have these schemas. Those whose names end in `?` are optional. */
export function functionOf(properties: Properties, output: JsonSchema | null = null, name = "f"): FunctionSpec {
  const params = Object.keys(properties).map((key) => param(key.replace("?", ""), key.endsWith("?")));
  const schema: JsonSchema = {
    type: "object",
    properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key.replace("?", ""), value])),
    required: params.filter((p) => !p.optional).map((p) => p.name),
    additionalProperties: false,
  };
  return functionWith({ mode: "params", params, schema }, output, name);
}

export function functionWith(input: InputSpec, output: JsonSchema | null = null, name = "f"): FunctionSpec {
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
    queue: { size: 1, maxWorkers: 1, ttlS: 1 },
    placement: {
      cpu: 1,
      memoryMb: 64,
      diskGb: null,
      gpu: [],
      gpuCount: 0,
      minVramGb: null,
      geolocation: [],
      offerFilters: {},
      env: {},
    },
    timeoutS: 1,
    concurrency: 1,
    minReplicas: 0,
    maxReplicas: 1,
    keepWarmS: 1,
    scaleUpDelayS: 0,
    retries: { max: 0, delayS: 0, backoff: 1, maxDelayS: 0, jitter: 0 },
    limits: { concurrency: null, keyConcurrency: 1, rate: null },
    priority: 0,
    expireS: null,
    batch: null,
    schedule: null,
    events: { window: 1, windowBytes: 1024 },
    input,
    output: { schema: output, stream: false, standard: false },
  };
}

export function param(name: string, optional = false): ParamSpec {
  return { name, inject: null, optional, rest: false };
}

export async function validatorsOf(fns: FunctionSpec[], $defs: Properties = {}): Promise<Validators> {
  const spec: AppSpec = { specVersion: 1, name: "demo", compute: "dedicated", functions: fns, $defs };
  return loadValidators(await compileValidators(spec));
}

/** A PNG of one pixel. */
export const PNG: Uint8Array = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

export const DATE: JsonSchema = { type: "string", format: "date-time", "x-athanor-type": "date" };
export const BYTES: JsonSchema = { type: "string", contentEncoding: "base64", "x-athanor-type": "bytes" };
export const BIGINT: JsonSchema = { type: "string", pattern: "^-?[0-9]+$", "x-athanor-type": "bigint" };
