import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { Json, JsonObject } from "../../protocol/json.ts";
import type { CallAnswer, JobJson } from "../../protocol/wire.ts";
import { toAthanorError } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { checkIdempotencyKey } from "../http/idempotency.ts";
import { LineStream } from "../http/line-stream.ts";
import { preferencesOf } from "../http/prefer.ts";
import type { Inserted } from "../jobs/jobs.ts";
import type { JobRecord } from "../store/store.ts";
import type { ApiCall, Route } from "./route.ts";
import { type Caller, callerOf, checkCall, liveFunction } from "./spawn.ts";
import { type CheckedSpawn, checkSpawnRequest, type SpawnRules, spawnRules } from "./spawn-request.ts";

export const callRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/calls",
    access: "principal",
    summary: "Enqueue calls of any functions, and answer each in a line of JSON as it is accepted, or ended",
    headers: { Prefer: "`wait=N`: calls with `wait` are answered once their job has ended, or after N seconds." },
    body: "CallsRequest",
    answers: { 200: null },
    handle: serveCalls,
  },
];

/**
 * The calls of one request:
 *
 *   checked, inserted together -> the head of the answer, once all are on disk or refused -> a line for each as it is settled
 */
async function serveCalls(call: ApiCall): Promise<void> {
  const { x, context } = call;
  const requests = checkCalls(await readJson(x, SERVER_DEFAULTS.maxSpawnBodyBytes), spawnRules(context));
  const waitMs = (preferencesOf(x.header("prefer")).waitS ?? 0) * 1000;
  const lines = new LineStream<CallAnswer>(x);
  const open = new Map<number, { job: number; leave(): void }>();
  const finished = Promise.withResolvers<void>();
  const written: Promise<void>[] = [];
  const write = async (index: number, json: JobJson | Promise<JobJson>): Promise<void> =>
    lines.add({ call: index, job: await json });
  const settle = (index: number, record: JobRecord): void => {
    open.delete(index);
    written.push(write(index, context.jobs.toJson(record)));
    if (open.size === 0) finished.resolve();
  };
  const caller = await callerOf(call);
  await Promise.all(
    requests.map(async (request, index) => {
      try {
        const inserted = await insert(call, request, caller);
        const { job, existing, started } = inserted;
        if (request.stream && !isFinal(job.status)) context.events.expectReader(job.job);
        if (!request.wait || waitMs === 0) {
          written.push(write(index, context.jobs.view.inserted(inserted)));
          return;
        }
        if (isFinal(job.status)) return settle(index, job);
        const leave = context.jobs.onEnd(job.job, (record) => settle(index, record));
        open.set(index, { job: job.job, leave });
        // What another request inserted may have ended before this one listened, and what another server could claim.
        if (existing || (context.store.shared && started === null))
          await lookAgain(call, job.job, (record) => open.has(index) && settle(index, record));
      } catch (error) {
        lines.add({ call: index, problem: toAthanorError(error).toProblem() });
      }
    }),
  );
  lines.begin();
  const timer = setTimeout(finished.resolve, waitMs);
  const gone = AbortSignal.any([x.signal, context.stopping]);
  gone.addEventListener("abort", () => finished.resolve(), { once: true });
  if (open.size > 0 && !gone.aborted) await finished.promise;
  clearTimeout(timer);
  for (const { leave } of open.values()) leave();
  if (!gone.aborted)
    for (const [index, { job }] of open) await lookAgain(call, job, (record) => settle(index, record), true);
  await Promise.all(written);
  await lines.end();
}

async function lookAgain(
  call: ApiCall,
  job: number,
  found: (record: JobRecord) => void,
  anyStatus = false,
): Promise<void> {
  const record = await call.context.store.jobGet({ job });
  if (record !== null && (anyStatus || isFinal(record.status))) found(record);
}

async function insert({ context, principal }: ApiCall, p: CheckedCall, caller: Caller): Promise<Inserted> {
  if (principal.kind === "replica" && principal.app !== p.app)
    throw new AthanorError("unauthorized", `this token is a replica's and holds for the app ${principal.app} alone`);
  if (context.deployments.live(p.app) === undefined) await context.deployments.find(p.app);
  const target = liveFunction(context, p.app, p.function);
  return context.jobs.spawn({ ...target, ...checkCall(target, p.request, caller), idempotencyKey: p.idempotencyKey });
}

interface CheckedCall {
  app: string;
  function: string;
  request: CheckedSpawn;
  wait: boolean;
  stream: boolean;
  idempotencyKey: string | null;
}

/** Throws input_invalid, bad_request: what is wrong with the form of one call is wrong with the request. */
function checkCalls(body: Json, rules: SpawnRules): CheckedCall[] {
  const calls = (body as JsonObject | null)?.calls;
  const { maxCallsPerRequest: max } = SERVER_DEFAULTS;
  if (!Array.isArray(calls) || calls.length > max)
    throw new AthanorError("input_invalid", `calls must be a list of at most ${max} calls`, {
      errors: [{ path: "/calls", expected: `a list of at most ${max} calls` }],
    });
  return calls.map((call, index) => checkForm(call, index, rules));
}

function checkForm(call: Json, index: number, rules: SpawnRules): CheckedCall {
  const where = `/calls/${index}`;
  const invalid = (path: string, expected: string): AthanorError =>
    new AthanorError("input_invalid", `${where}${path} must be ${expected}`, {
      errors: [{ path: `${where}${path}`, expected }],
    });
  if (typeof call !== "object" || call === null || Array.isArray(call)) throw invalid("", "an object");
  const { app, function: name, idempotency_key: key, wait, stream, ...rest } = call;
  if (typeof app !== "string") throw invalid("/app", "the name of an app");
  if (typeof name !== "string") throw invalid("/function", "the name of a function");
  if (wait !== undefined && typeof wait !== "boolean") throw invalid("/wait", "true or false");
  if (stream !== undefined && typeof stream !== "boolean") throw invalid("/stream", "true or false");
  if (key !== undefined && typeof key !== "string") throw invalid("/idempotency_key", "text");
  return {
    app,
    function: name,
    request: checkSpawnRequest(rest, rules, where),
    wait: wait === true,
    stream: stream === true,
    idempotencyKey: key === undefined ? null : checkIdempotencyKey(key, `${where}/idempotency_key`),
  };
}
