import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal, JOB_STATUSES, type JobStatus } from "../../protocol/job.ts";
import { formatId, parseId } from "../../protocol/names.ts";
import type { JobJson, Page } from "../../protocol/wire.ts";
import { sendJson } from "../http/answer.ts";
import { jobErrorOf } from "../jobs/failure.ts";
import { withKey } from "../jobs/links.ts";
import type { JobRecord } from "../store/store.ts";
import { webhookJson } from "../webhooks/body.ts";
import { PAGE_QUERY, pageJson, pageOf } from "./deployments.ts";
import { type ApiCall, jobParam, numberQuery, type Route } from "./route.ts";

export const jobRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/jobs/:job/webhook",
    access: "job",
    summary: "How the delivery of the job's webhook goes",
    answers: { 200: "Webhook" },
    handle: async (call) => {
      const { job } = await recordOf(call);
      const record = await call.context.store.webhookGet({ job });
      if (record === null) throw noWebhook(job);
      sendJson(call.x, 200, webhookJson(record));
    },
  },
  {
    method: "POST",
    path: "/v1/jobs/:job/webhook/redeliver",
    access: "operator",
    summary: "Deliver the job's webhook once more, now, whatever became of it",
    answers: { 202: "Webhook" },
    handle: async (call) => {
      const { store, webhooks } = call.context;
      const { job } = await recordOf(call);
      const record = await store.webhookAgain({ job, now: store.clock() });
      if (record === null) throw noWebhook(job);
      if (record.state === "waiting")
        throw new AthanorError("job_not_ended", `${formatId("jobs", job)} has not ended: its webhook is not due yet`);
      webhooks.wake();
      sendJson(call.x, 202, webhookJson(record));
    },
  },
  {
    method: "GET",
    path: "/v1/jobs",
    access: "principal",
    summary: "Jobs, newest first",
    query: {
      ...PAGE_QUERY,
      app: { description: "Of this app alone.", schema: { type: "string" } },
      function: { description: "Of this function alone.", schema: { type: "string" } },
      status: { description: "In one of these statuses, separated by commas.", schema: { type: "string" } },
      concurrency_key: { description: "With this concurrency key alone.", schema: { type: "string" } },
      parent: { description: "Made by the code of this job.", schema: { type: "string" } },
    },
    answers: { 200: "JobPage" },
    handle: list,
  },
  {
    method: "GET",
    path: "/v1/jobs/:job",
    access: "job",
    summary: "One job",
    answers: { 200: "Job" },
    handle: async (call) => sendJson(call.x, 200, await showJob(call, await recordOf(call))),
  },
  {
    method: "GET",
    path: "/v1/jobs/:job/result",
    access: "job",
    summary: "The result, once it is there; a job that failed answers with its error",
    query: {
      wait: {
        description: "Seconds to wait for the end.",
        schema: { type: "number", minimum: 0, maximum: SERVER_DEFAULTS.maxWaitS, default: 0 },
      },
    },
    answers: { 200: "Result" },
    handle: async (call) => {
      const { x, context } = call;
      const waitS = numberQuery(call, "wait", { min: 0, max: SERVER_DEFAULTS.maxWaitS, fallback: 0, whole: false });
      const signal = AbortSignal.any([x.signal, context.stopping]);
      const record =
        waitS === 0
          ? await recordOf(call)
          : await context.jobs.wait({ job: jobParam(call), timeoutMs: waitS * 1000, signal });
      if (!isFinal(record.status))
        throw new AthanorError("job_not_ended", `${formatId("jobs", record.job)} is ${record.status}`);
      const error = jobErrorOf(record);
      if (error) throw error;
      sendJson(x, 200, (await showJob(call, record)).result);
    },
  },
];

const noWebhook = (job: number): AthanorError =>
  new AthanorError("not_found", `${formatId("jobs", job)} was spawned without a webhook`);

async function list(call: ApiCall): Promise<void> {
  const { context, principal, query } = call;
  const { limit, before } = pageOf(call, "jobs");
  // A replica sees its own app's.
  const app = principal.kind === "replica" ? principal.app : query.get("app");
  const fn = query.get("function");
  const status = statusesOf(query.get("status"));
  const key = query.get("concurrency_key");
  const parent = parentOf(query.get("parent"));
  const records = await context.store.jobList({
    ...(app === null ? {} : { app }),
    ...(fn === null ? {} : { function: fn }),
    ...(status === null ? {} : { status }),
    ...(key === null ? {} : { concurrencyKey: key }),
    ...(parent === null ? {} : { parent }),
    ...(before === null ? {} : { before }),
    limit: limit + 1,
  });
  const page = pageJson(
    records,
    limit,
    (record) => record,
    (record) => formatId("jobs", record.job),
  );
  const json: Page<JobJson> = {
    items: await context.jobs.view.toJsonMany(page.items),
    next_cursor: page.next_cursor,
  };
  sendJson(call.x, 200, json);
}

function statusesOf(text: string | null): JobStatus[] | null {
  if (text === null) return null;
  return text.split(",").map((name) => {
    const status = JOB_STATUSES.find((known) => known === name);
    if (!status)
      throw new AthanorError(
        "bad_request",
        `status is ${JSON.stringify(name.slice(0, 100))}; of ${JOB_STATUSES.join(", ")}, one or more with commas are needed`,
      );
    return status;
  });
}

function parentOf(text: string | null): number | null {
  const job = text === null ? null : parseId("jobs", text);
  if (text !== null && job === null)
    throw new AthanorError("bad_request", `parent is ${JSON.stringify(text.slice(0, 100))}; the id of a job is needed`);
  return job;
}

export async function recordOf(call: ApiCall): Promise<JobRecord> {
  const job = jobParam(call);
  const record = await call.context.store.jobGet({ job });
  if (!record) throw new AthanorError("job_not_found", `there is no job ${formatId("jobs", job)}`);
  return record;
}

/** The job as whoever asks may follow it: with the key in its links where that is what opened it. */
export async function showJob(call: ApiCall, record: JobRecord): Promise<JobJson> {
  const json = await call.context.jobs.toJson(record);
  return call.principal.kind === "key" ? withKey(json, json.job_id, call.context.auth.jobKey(record.job)) : json;
}
