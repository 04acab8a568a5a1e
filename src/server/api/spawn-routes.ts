import { setImmediate as turn } from "node:timers/promises";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import { formatId } from "../../protocol/names.ts";
import type { JobJson, SpawnManyResult } from "../../protocol/wire.ts";
import { sendJson } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { idempotencyKeyOf } from "../http/idempotency.ts";
import { preferencesOf } from "../http/prefer.ts";
import type { Call } from "../jobs/jobs.ts";
import { type ApiCall, type Route, requireParam } from "./route.ts";
import { type Caller, type CallTarget, callerOf, checkCall, liveFunction } from "./spawn.ts";
import { checkSpawnRequest, invalid, objectOf, type SpawnRules, spawnRules } from "./spawn-request.ts";

/** Calls of one batch that are checked before others get their turn. */
const CALLS_PER_TURN = 200;

const HEADERS = {
  traceparent: "Given to the jobs that it makes, in the handler's `JobContext`.",
  "Idempotency-Key": "The same key within 24 h gives the same job.",
  "Athanor-Parent-Job":
    "From code in a replica: the job that makes the call, and is not to be outlived by it where it is cancelled.",
};

export const spawnRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/apps/:app/functions/:function/jobs",
    access: "app",
    summary: "Enqueue a call",
    headers: { ...HEADERS, Prefer: "`wait=N`: answer once the job has ended, with 200, or after N seconds." },
    body: "SpawnRequest",
    answers: { 200: "Job", 202: "Job" },
    handle: spawn,
  },
  {
    method: "POST",
    path: "/v1/apps/:app/functions/:function/jobs/batch",
    access: "app",
    summary: `Enqueue up to ${SERVER_DEFAULTS.maxSpawnMany} calls: all, or none`,
    headers: HEADERS,
    body: "SpawnManyRequest",
    answers: { 202: "SpawnManyResult" },
    handle: spawnMany,
  },
];

async function spawn(call: ApiCall): Promise<void> {
  const { x, context } = call;
  const { jobs } = context;
  const target = liveFunction(context, requireParam(call, "app"), requireParam(call, "function"));
  const request = checkSpawnRequest(await readJson(x, SERVER_DEFAULTS.maxSpawnBodyBytes), spawnRules(context));
  const checked = checkCall(target, request, await callerOf(call));
  const inserted = await jobs.spawn({ ...target, ...checked, idempotencyKey: idempotencyKeyOf(x) });
  const { waitS } = preferencesOf(x.header("prefer"));
  if (waitS === null) {
    sendJob(call, await jobs.view.inserted(inserted), 202);
    return;
  }
  const signal = AbortSignal.any([x.signal, context.stopping]);
  const record = await jobs.wait({ job: inserted.job.job, timeoutMs: waitS * 1000, signal });
  const json = await jobs.toJson(record);
  sendJob(call, json, isFinal(record.status) ? 200 : 202, { "preference-applied": `wait=${waitS}` });
}

async function spawnMany(call: ApiCall): Promise<void> {
  const { x, context } = call;
  const target = liveFunction(context, requireParam(call, "app"), requireParam(call, "function"));
  const { calls: given } = objectOf(await readJson(x, SERVER_DEFAULTS.maxSpawnBodyBytes), "", ["calls"]);
  const max = SERVER_DEFAULTS.maxSpawnMany;
  if (!Array.isArray(given) || given.length === 0 || given.length > max)
    throw invalid("/calls", `an array of 1 to ${max} calls${Array.isArray(given) ? `; it has ${given.length}` : ""}`);
  const caller = await callerOf(call);
  const calls: Call[] = [];
  const rules = spawnRules(context);
  for (const [index, each] of given.entries()) {
    calls.push(checkBatched(target, each, rules, caller, `/calls/${index}`));
    if (index % CALLS_PER_TURN === CALLS_PER_TURN - 1) await turn();
  }
  const inserted = await context.jobs.spawnMany({ ...target, calls, idempotencyKey: idempotencyKeyOf(x) });
  const result: SpawnManyResult = { job_ids: inserted.map(({ job }) => formatId("jobs", job.job)) };
  sendJson(x, 202, result);
}

/** `at` is where the call stands in the body. */
function checkBatched(target: CallTarget, given: Json, rules: SpawnRules, caller: Caller, at: string): Call {
  const request = checkSpawnRequest(given, rules, at);
  try {
    return checkCall(target, request, caller);
  } catch (error) {
    if (!(error instanceof AthanorError)) throw error;
    const errors = error.errors?.map((each) => ({ ...each, path: `${at}${each.path}` }));
    throw new AthanorError(error.code, `${at}: ${error.detail}`, {
      hint: error.hint,
      ...(errors === undefined ? {} : { errors }),
    });
  }
}

function sendJob(call: ApiCall, json: JobJson, status: number, headers: Record<string, string> = {}): void {
  sendJson(call.x, status, json, { ...headers, location: json.links.self });
}
