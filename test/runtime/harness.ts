import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProcessEngine } from "../../src/engines/process.ts";
import { FUNCTION_DEFAULTS } from "../../src/protocol/defaults.ts";
import type { Json, JsonSchema } from "../../src/protocol/json.ts";
import type { LoggedLine, OpenHttp } from "../../src/protocol/replica.ts";
import type { AppSpec, FunctionSpec, ParamSpec } from "../../src/protocol/spec.ts";
import { compileValidators } from "../../src/schema/compile.ts";
import { type HostedDeployment, ReplicaHub } from "../../src/server/replicas/hub.ts";
import type { JobListeners, OpeningJob, StartingReplica } from "../../src/server/replicas/session.ts";
import { functionSpec, placement } from "../harness/specs.ts";

const SDK_URL = new URL("../../src/index.ts", import.meta.url).href;
const RUNTIME_PATH = join(import.meta.dirname, "../../src/runtime/main.ts");

/** A real engine and hub in a temporary folder; replicas run what `deploy` is given. */
export class ReplicaHarness implements AsyncDisposable {
  readonly dir: string;
  readonly engine: ProcessEngine;
  readonly hub: ReplicaHub;
  /** What the hub warned of. */
  readonly warnings: string[] = [];
  #replicas = 0;
  #requests = 0;

  private constructor(dir: string, blankReplicas: number) {
    this.dir = dir;
    const address = join(dir, "s");
    this.engine = new ProcessEngine({ dir: join(dir, "replicas"), runtimePath: RUNTIME_PATH, address, blankReplicas });
    const warn = (_fields: object, message: string) => this.warnings.push(message);
    this.hub = new ReplicaHub({ engine: this.engine, address, log: { warn } });
  }

  static async start(p: { blankReplicas?: number } = {}): Promise<ReplicaHarness> {
    const dir = await mkdtemp(join(tmpdir(), "athanor-"));
    const harness = new ReplicaHarness(dir, p.blankReplicas ?? 1);
    await harness.hub.start();
    await harness.engine.start();
    return harness;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hub.stop();
    await this.engine.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  /**
   * Writes a deployment whose bundle is this code after `import { App, ImageFile }` and `const app = new App("demo")`; it registers with
   * `fn(name, handler)`. Here the functions are described; `map` is the bundle's source map.
   */
  async deploy(p: { functions: Partial<FunctionSpec>[]; code: string; map?: object }): Promise<HostedDeployment> {
    const dir = await mkdtemp(join(this.dir, "deployment-"));
    const spec: AppSpec = {
      specVersion: 1,
      name: "demo",
      compute: "dedicated",
      functions: p.functions.map(runnableSpec),
      $defs: {},
    };
    const bundlePath = join(dir, "bundle.mjs");
    const validatorsPath = join(dir, "validators.cjs");
    await writeFile(bundlePath, PRELUDE + p.code);
    await writeFile(validatorsPath, await compileValidators(spec));
    if (p.map) await writeFile(`${bundlePath}.map`, JSON.stringify(p.map));
    return { number: 1, app: "demo", spec, dir, bundlePath, validatorsPath };
  }

  startReplica(deployment: HostedDeployment): StartingReplica {
    return this.hub.startReplica({
      replicaId: `replicas:${++this.#replicas}`,
      deployment,
      group: { name: "all", functions: deployment.spec.functions },
      serverUrl: "http://127.0.0.1:1",
      serverToken: "token",
    });
  }

  /** A replica of these functions that is ready. */
  async replica(p: Parameters<ReplicaHarness["deploy"]>[0]): Promise<StartingReplica> {
    const session = this.startReplica(await this.deploy(p));
    await session.ready;
    return session;
  }

  openHttp(fn: string, p: Partial<OpenHttp> = {}): OpenHttp {
    return {
      kind: "http",
      requestId: `r${++this.#requests}`,
      function: fn,
      method: "GET",
      url: `http://127.0.0.1/demo/${fn}`,
      headers: [],
      hasBody: false,
      maxBodyBytes: 64 * 1024 * 1024,
      upgrade: null,
      ...p,
    };
  }
}

/** On one line, so that a bundle's own first line is the second. */
const PRELUDE = `import { App, ImageFile } from ${JSON.stringify(SDK_URL)}; const app = new App("demo"); const fn = (name, handler, options = {}) => app.function(options, handler, { "athanor:site": { name, codeName: name, className: null } });\n`;

/** With the memory and the time that a real function has. */
function runnableSpec(p: Partial<FunctionSpec>): FunctionSpec {
  const { memoryMb, timeoutS } = FUNCTION_DEFAULTS;
  return functionSpec(p.name ?? "f", { placement: placement(memoryMb), timeoutS, input: params({}), ...p });
}

/** The input of a function: each parameter's schema, or how it is injected. */
export function params(p: { [name: string]: JsonSchema | "progress" | "context" | "request" }): FunctionSpec["input"] {
  const list: ParamSpec[] = [];
  const properties: { [name: string]: JsonSchema } = {};
  for (const [name, what] of Object.entries(p)) {
    const inject = typeof what === "string" ? what : null;
    list.push({ name, inject, optional: false, rest: false });
    if (typeof what !== "string") properties[name] = what;
  }
  const required = Object.keys(properties);
  return {
    mode: "params",
    params: list,
    schema: { type: "object", properties, required, additionalProperties: false },
  };
}

export function openJob(fn: string, input: Json = {}, p: Partial<OpeningJob> = {}): OpeningJob {
  const inputText = JSON.stringify(input);
  return { kind: "job", jobId: "jobs:1", function: fn, attempt: 1, inputText, media: [], eventsWindow: 1000, ...p };
}

export interface Heard extends JobListeners {
  lines: LoggedLine[];
  /** The lines' text. */
  text(): string[];
  progressed: [number, string | null][];
  chunks: unknown[];
}

/** Listeners that keep what they hear. */
export function listen(): Heard {
  const heard: Heard = {
    lines: [],
    progressed: [],
    chunks: [],
    text: () => heard.lines.map((line) => line.line),
    progress: ({ progress, message }) => void heard.progressed.push([progress, message]),
    chunk: ({ value }) => void heard.chunks.push(value),
    log: (line) => void heard.lines.push(line),
  };
  return heard;
}

export async function bodyOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}
