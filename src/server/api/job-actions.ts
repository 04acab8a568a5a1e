import { existsSync } from "node:fs";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId, parseId } from "../../protocol/names.ts";
import { checkInput } from "../../schema/check.ts";
import { sendJson } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { idempotencyKeyOf } from "../http/idempotency.ts";
import type { JobFilter, JobRecord } from "../store/store.ts";
import { recordOf, showJob } from "./jobs.ts";
import { type ApiCall, jobParam, type Route } from "./route.ts";
import { liveFunction } from "./spawn.ts";
import { checkKey, invalid, objectOf } from "./spawn-request.ts";

/** What is done to jobs that are there. */
export const jobActionRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/jobs/:job/cancel",
    access: "job",
    summary: "Cancel a job and those that its code has made: queued ones end at once, running ones soon",
    answers: { 202: "Job" },
    handle: async (call) => {
      const record = await call.context.jobs.cancel(jobParam(call));
      sendJson(call.x, 202, await showJob(call, record));
    },
  },
  {
    method: "POST",
    path: "/v1/jobs/cancel",
    access: "principal",
    summary: "Cancel all queued and running jobs that fit, and those that their code has made",
    body: "CancelManyRequest",
    answers: { 200: "CancelManyResult" },
    handle: async (call) => {
      const filter = filterOf(call, await readJson(call.x, SERVER_DEFAULTS.maxJsonBodyBytes));
      sendJson(call.x, 200, await call.context.jobs.cancelMany(filter));
    },
  },
  {
    method: "POST",
    path: "/v1/jobs/:job/retry",
    access: "principal",
    summary:
      "Start a delayed job now (200), or run one that ended without success again as a new job of its deployment (202)",
    headers: { "Idempotency-Key": "The same key within 24 h gives the same new job." },
    answers: { 200: "Job", 202: "Job" },
    handle: async (call) => {
      const { context } = call;
      await mustHaveFiles(call, await ownRecord(call));
      const { record, inserted } = await context.jobs.retry(jobParam(call), idempotencyKeyOf(call.x));
      if (inserted === null) sendJson(call.x, 200, await context.jobs.toJson(record));
      else sendNew(call, await context.jobs.view.inserted(inserted));
    },
  },
  {
    method: "POST",
    path: "/v1/jobs/:job/replay",
    access: "principal",
    summary: "Run an ended job's input again as a new job of the app's live deployment",
    headers: { "Idempotency-Key": "The same key within 24 h gives the same new job." },
    answers: { 202: "Job" },
    handle: async (call) => {
      const { context, x } = call;
      await ownRecord(call);
      const inserted = await context.jobs.replay(jobParam(call), (record) => {
        const target = liveFunction(context, record.app, record.function);
        const check = (body: Json) =>
          checkInput({ fn: record.function, validators: target.deployment.validators(), body });
        return { ...target, check, idempotencyKey: idempotencyKeyOf(x) };
      });
      sendNew(call, await context.jobs.view.inserted(inserted));
    },
  },
];

function sendNew(call: ApiCall, json: { links: { self: string } }): void {
  sendJson(call.x, 202, json, { location: json.links.self });
}

/** A replica may act on its own app's jobs alone. */
async function ownRecord(call: ApiCall): Promise<JobRecord> {
  const record = await recordOf(call);
  const { principal } = call;
  if (principal.kind === "replica" && principal.app !== record.app)
    throw new AthanorError("unauthorized", `this token is a replica's and holds for the app ${principal.app} alone`);
  return record;
}

/** What nothing needed any more was cleared away, and the app's code with it. */
async function mustHaveFiles({ context }: ApiCall, record: JobRecord): Promise<void> {
  const { bundlePath } = await context.deployments.get(record.deployment);
  if (existsSync(bundlePath)) return;
  throw new AthanorError(
    "deployment_not_found",
    `the files of ${formatId("deployments", record.deployment)}, of which ${formatId("jobs", record.job)} is, have been cleared away`,
    { hint: "Run its input on the live deployment with `athanor job replay ID`." },
  );
}

const PARTS = ["app", "function", "status", "concurrency_key", "parent_id", "all"];
const STOPPABLE = ["queued", "running"] as const;

/** Throws input_invalid, unauthorized. */
function filterOf({ principal }: ApiCall, body: Json): JobFilter {
  const { app, function: name, status, concurrency_key: key, parent_id: parent, all } = objectOf(body, "", PARTS);
  if (all !== undefined && typeof all !== "boolean") throw invalid("/all", "true or false", all);
  const filter: JobFilter = {
    ...(app === undefined ? {} : { app: textOf(app, "/app") }),
    ...(name === undefined ? {} : { function: textOf(name, "/function") }),
    ...(status === undefined ? {} : { status: statusesOf(status) }),
    ...(key === undefined ? {} : { concurrencyKey: checkKey(key, "/concurrency_key") }),
    ...(parent === undefined ? {} : { parent: parentNumber(parent) }),
  };
  if (Object.keys(filter).length === 0 && all !== true)
    throw invalid("", `an object with at least one of ${PARTS.slice(0, -1).join(", ")}, or with "all": true`, body);
  if (principal.kind !== "replica") return filter;
  if (filter.app !== undefined && filter.app !== principal.app)
    throw new AthanorError("unauthorized", `this token is a replica's and holds for the app ${principal.app} alone`);
  return { ...filter, app: principal.app };
}

function statusesOf(value: Json): (typeof STOPPABLE)[number][] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((each) => {
    const status = STOPPABLE.find((known) => known === each);
    if (status === undefined) throw invalid("/status", `one or several of ${STOPPABLE.join(", ")}`, each);
    return status;
  });
}

function parentNumber(value: Json): number {
  const job = parseId("jobs", textOf(value, "/parent_id"));
  if (job === null) throw invalid("/parent_id", "the id of a job, such as jobs:12", value);
  return job;
}

function textOf(value: Json, path: string): string {
  if (typeof value !== "string" || value.length > 255) throw invalid(path, "a text", value);
  return value;
}
