import type { Json } from "../../protocol/json.ts";
import type { AppSpec, DeploymentUpload } from "../../protocol/spec.ts";
import type {
  AppJson,
  CallRequest,
  CancelManyRequest,
  CancelManyResult,
  DeploymentDependenciesJson,
  DeploymentDetailJson,
  DeploymentJson,
  DeployResult,
  JobJson,
  KeyJson,
  LogLine,
  Page,
  QueueJson,
  ReplicaJson,
  ScheduleJson,
  ServerJson,
  SpawnManyRequest,
  SpawnManyResult,
  SpawnRequest,
  StoreJson,
  WebhookJson,
} from "../../protocol/wire.ts";
import { hasNode } from "../node.ts";
import { Calls, PARENT_JOB_HEADER } from "./calls.ts";
import { type Query, type RequestInitJson, type Sender, send, unreachable } from "./request.ts";

/** Deployments whose specs are remembered. They never change. */
const MAX_SPECS = 32;

/** The server's API, a method for each route, with the wire's own shapes. */
export class Api {
  readonly #sender: Sender;
  readonly #calls: Calls;
  readonly #specs = new Map<string, Promise<AppSpec>>();

  constructor(address: { url: string; token?: string | null | undefined; fetch?: typeof fetch | undefined }) {
    this.#sender = {
      url: address.url.replace(/\/+$/, ""),
      token: address.token ?? null,
      // Looked up at each call: browsers want it called on the global object, and tests may replace it.
      fetch: address.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      node: address.fetch === undefined && hasNode(),
    };
    this.#calls = new Calls(this.#sender);
  }

  get url(): string {
    return this.#sender.url;
  }

  /** The header that opens what only holders of the token may call. */
  get authorization(): Record<string, string> {
    return this.#sender.token === null ? {} : { authorization: `Bearer ${this.#sender.token}` };
  }

  /** With `force` also where the live deployment has this very code. */
  async deploy(
    upload: DeploymentUpload,
    options: { force?: boolean; signal?: AbortSignal } = {},
  ): Promise<DeployResult> {
    const { force, signal } = options;
    const send = (body: DeploymentUpload): Promise<DeployResult> =>
      this.#json("POST", "/v1/deployments", { body, signal, query: force ? { force } : {} });
    const { vendor } = upload;
    if (vendor === undefined) return send(upload);
    try {
      // Mostly the server has it: packages change less often than the code that takes from them.
      return await send({ ...upload, vendor: { ...vendor, content: null } });
    } catch (error) {
      if ((error as { code?: unknown }).code === "vendor_missing") return send(upload);
      throw error;
    }
  }

  listDeployments(
    query: { app?: string | undefined; cursor?: string | undefined; limit?: number | undefined } = {},
  ): Promise<Page<DeploymentJson>> {
    return this.#json("GET", "/v1/deployments", { query });
  }

  getDeployment(id: string): Promise<DeploymentDetailJson> {
    return this.#json("GET", `/v1/deployments/${encodeURIComponent(id)}`);
  }

  /** Makes a deployment live again that was so before. */
  rollback(id: string): Promise<DeployResult> {
    return this.#json("POST", `/v1/deployments/${encodeURIComponent(id)}/rollback`);
  }

  /** As rollback, to the one before the live one. */
  rollbackApp(app: string): Promise<DeployResult> {
    return this.#json("POST", `/v1/apps/${encodeURIComponent(app)}/rollback`);
  }

  /** The packages that it installed, where they are still known. */
  deploymentDependencies(id: string): Promise<DeploymentDependenciesJson> {
    return this.#json("GET", `/v1/deployments/${encodeURIComponent(id)}/dependencies`);
  }

  /** The whole of what was deployed, but its code. It is asked for once per deployment. */
  deploymentSpec(id: string): Promise<AppSpec> {
    const known = this.#specs.get(id);
    if (known) return known;
    const asked = this.#json<AppSpec>("GET", `/v1/deployments/${encodeURIComponent(id)}/spec`);
    this.#specs.set(id, asked);
    asked.catch(() => this.#specs.delete(id));
    if (this.#specs.size > MAX_SPECS) this.#specs.delete(this.#specs.keys().next().value as string);
    return asked;
  }

  deploymentLogs(
    id: string,
    query: { function?: string | undefined; limit?: number | undefined } = {},
  ): Promise<Page<LogLine>> {
    return this.#json("GET", `/v1/deployments/${encodeURIComponent(id)}/logs`, { query });
  }

  listApps(): Promise<Page<AppJson>> {
    return this.#json("GET", "/v1/apps");
  }

  getApp(app: string, signal?: AbortSignal): Promise<AppJson> {
    return this.#json("GET", `/v1/apps/${encodeURIComponent(app)}`, { signal });
  }

  async deleteApp(app: string): Promise<void> {
    await this.send("DELETE", `/v1/apps/${encodeURIComponent(app)}`);
  }

  /** With `waitS` the answer comes once the job has ended, or after so many seconds. */
  spawn(
    app: string,
    name: string,
    request: SpawnRequest,
    options: SpawnHeaders & { waitS?: number | undefined } = {},
  ): Promise<JobJson> {
    const { waitS } = options;
    const headers = { ...spawnHeaders(options), ...(waitS === undefined ? {} : { prefer: `wait=${waitS}` }) };
    return this.#json("POST", `${functionPath(app, name)}/jobs`, { body: request, headers });
  }

  /** All are enqueued, or none. */
  spawnMany(
    app: string,
    name: string,
    request: SpawnManyRequest,
    options: SpawnHeaders = {},
  ): Promise<SpawnManyResult> {
    const headers = spawnHeaders(options);
    return this.#json("POST", `${functionPath(app, name)}/jobs/batch`, { body: request, headers });
  }

  /** Many calls made at a time share requests; see Calls.call. */
  call(request: CallRequest, parentJob: string | null = null): Promise<JobJson> {
    return this.#calls.call(request, parentJob);
  }

  listJobs(query: Query = {}): Promise<Page<JobJson>> {
    return this.#json("GET", "/v1/jobs", { query });
  }

  getJob(id: string, signal?: AbortSignal): Promise<JobJson> {
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}`, { signal });
  }

  /** The result as JSON, where it is there within `waitS` seconds; else throws `job_not_ended`, or how the job ended. */
  getResult(id: string, waitS: number, signal?: AbortSignal): Promise<Json> {
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}/result`, { query: { wait: waitS }, signal });
  }

  /** What the server finds wrong with its stored data. */
  getStore(): Promise<StoreJson> {
    return this.#json("GET", "/v1/server/store");
  }

  checkServer(): Promise<{ problems: string[] }> {
    return this.#json("GET", "/v1/server/check");
  }

  getServer(): Promise<ServerJson> {
    return this.#json("GET", "/v1/server");
  }

  cancelJob(id: string): Promise<JobJson> {
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/cancel`);
  }

  /** All queued and running jobs that fit. */
  cancelJobs(filter: CancelManyRequest): Promise<CancelManyResult> {
    return this.#json("POST", "/v1/jobs/cancel", { body: filter });
  }

  /** A delayed job is due now; one that ended without success runs again as the new job that is answered. */
  retryJob(id: string, idempotencyKey?: string): Promise<JobJson> {
    const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/retry`, { headers });
  }

  /** An ended job's input runs again, on the app's live deployment, as the new job that is answered. */
  replayJob(id: string, idempotencyKey?: string): Promise<JobJson> {
    const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/replay`, { headers });
  }

  listQueues(query: { app?: string | undefined } = {}): Promise<Page<QueueJson>> {
    return this.#json("GET", "/v1/queues", { query });
  }

  listSchedules(query: { app?: string | undefined } = {}): Promise<Page<ScheduleJson>> {
    return this.#json("GET", "/v1/schedules", { query });
  }

  pauseSchedule(app: string, name: string): Promise<ScheduleJson> {
    return this.#json("POST", `${schedulePath(app, name)}/pause`);
  }

  resumeSchedule(app: string, name: string): Promise<ScheduleJson> {
    return this.#json("POST", `${schedulePath(app, name)}/resume`);
  }

  /** Runs it now, beside its schedule. */
  triggerSchedule(app: string, name: string): Promise<JobJson> {
    return this.#json("POST", `${schedulePath(app, name)}/trigger`);
  }

  /** How the delivery of the job's webhook goes. */
  getWebhook(id: string): Promise<WebhookJson> {
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}/webhook`);
  }

  /** Once more, now. */
  redeliverWebhook(id: string): Promise<WebhookJson> {
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/webhook/redeliver`);
  }

  pauseQueue(app: string, name: string, paused: boolean): Promise<QueueJson> {
    return this.#json("POST", `${queuePath(app, name)}/${paused ? "pause" : "resume"}`);
  }

  listKeys(
    app: string,
    name: string,
    query: { cursor?: string | undefined; limit?: number | undefined } = {},
  ): Promise<Page<KeyJson>> {
    return this.#json("GET", `${queuePath(app, name)}/keys`, { query });
  }

  listReplicas(): Promise<Page<ReplicaJson>> {
    return this.#json("GET", "/v1/replicas");
  }

  /** An exchange that is not one of JSON; see send(). */
  send(method: string, path: string, init?: RequestInitJson): Promise<Response> {
    return send(this.#sender, method, path, init);
  }

  async #json<T>(method: string, path: string, init?: RequestInitJson): Promise<T> {
    const response = await this.send(method, path, init);
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw unreachable(this.url, error, init?.signal);
    }
  }
}

interface SpawnHeaders {
  idempotencyKey?: string | undefined;
  /** The job whose code makes the call. */
  parentJob?: string | null | undefined;
}

function spawnHeaders({ idempotencyKey, parentJob }: SpawnHeaders): Record<string, string> {
  return {
    ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
    ...(parentJob == null ? {} : { [PARENT_JOB_HEADER]: parentJob }),
  };
}

function functionPath(app: string, name: string): string {
  return `/v1/apps/${encodeURIComponent(app)}/functions/${encodeURIComponent(name)}`;
}

function schedulePath(app: string, name: string): string {
  return `/v1/schedules/${encodeURIComponent(app)}/${encodeURIComponent(name)}`;
}

function queuePath(app: string, name: string): string {
  return `/v1/queues/${encodeURIComponent(app)}/${encodeURIComponent(name)}`;
}
