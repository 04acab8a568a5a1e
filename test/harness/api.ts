import assert from "node:assert/strict";
import type { JobEvent } from "../../src/protocol/event.ts";
import { isFinal } from "../../src/protocol/job.ts";
import type { Json } from "../../src/protocol/json.ts";
import type { DeploymentUpload } from "../../src/protocol/spec.ts";
import type { DeployResult, JobJson, Page, ReplicaJson, SpawnRequest } from "../../src/protocol/wire.ts";

/** The server's API as the tests speak it: plain HTTP, no client of ours in between. */
export class Api {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...(init.headers as Record<string, string> | undefined) };
    return fetch(new URL(path, this.url), { ...init, headers });
  }

  /** The JSON answer; fails unless the status is the expected one. */
  async json<T>(
    method: string,
    path: string,
    body?: unknown,
    status?: number,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const json = { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    const response = await this.fetch(path, { method, ...(body === undefined ? { headers } : json) });
    const text = await response.text();
    if (status === undefined) assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    else assert.equal(response.status, status, `${method} ${path}: ${text}`);
    return JSON.parse(text) as T;
  }

  deploy(upload: DeploymentUpload): Promise<DeployResult> {
    return this.json("POST", "/v1/deployments", upload);
  }

  spawn(app: string, fn: string, request: SpawnRequest = {}, key?: string): Promise<JobJson> {
    const headers: Record<string, string> = key === undefined ? {} : { "idempotency-key": key };
    return this.json("POST", `/v1/apps/${app}/functions/${fn}/jobs`, request, 202, headers);
  }

  job(id: string): Promise<JobJson> {
    return this.json("GET", `/v1/jobs/${id}`);
  }

  cancel(id: string): Promise<JobJson> {
    return this.json("POST", `/v1/jobs/${id}/cancel`, undefined, 202);
  }

  /** The job once it has ended. */
  async end(id: string): Promise<JobJson> {
    const response = await this.fetch(`/v1/jobs/${id}/result?wait=60`);
    await response.body?.cancel();
    const job = await this.job(id);
    assert.ok(isFinal(job.status), `${id} is still ${job.status}`);
    return job;
  }

  async run(app: string, fn: string, request: SpawnRequest = {}): Promise<JobJson> {
    return this.end((await this.spawn(app, fn, request)).job_id);
  }

  /** Every event from the cursor to `job.end`; or until `enough` says so. */
  async events(
    id: string,
    options: { after?: number; enough?: (event: JobEvent) => boolean } = {},
  ): Promise<JobEvent[]> {
    const events: JobEvent[] = [];
    const left = new AbortController();
    const response = await this.fetch(`/v1/jobs/${id}/events?after=${options.after ?? 0}`, { signal: left.signal });
    // The cursor is at the log's end, and the job has ended.
    if (response.status === 204) return events;
    assert.equal(response.status, 200);
    assert.ok(response.body);
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const event of blocks.flatMap(parseEvent)) {
        events.push(event);
        if (options.enough?.(event) !== true) continue;
        left.abort();
        return events;
      }
    }
    return events;
  }

  async jobs(query = ""): Promise<JobJson[]> {
    const all: JobJson[] = [];
    let cursor: string | null = null;
    do {
      const at: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page: Page<JobJson> = await this.json("GET", `/v1/jobs?limit=500${query}${at}`);
      all.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return all;
  }

  async replicas(): Promise<ReplicaJson[]> {
    return (await this.json<{ items: ReplicaJson[] }>("GET", "/v1/replicas")).items;
  }
}

function parseEvent(block: string): JobEvent[] {
  const fields = new Map(
    block
      .split("\n")
      .filter((line) => !line.startsWith(":"))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trimStart()]),
  );
  const data = fields.get("data");
  if (data === undefined) return [];
  return [
    { id: Number(fields.get("id")), event: fields.get("event"), data: JSON.parse(data) as Json } as unknown as JobEvent,
  ];
}
