import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import type { JobJson } from "../../protocol/wire.ts";
import { readBody } from "../../schema/body.ts";
import { checkInput } from "../../schema/check.ts";
import { sendJson } from "../http/answer.ts";
import { acceptBody, bodyStream } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import { jobErrorOf } from "../jobs/failure.ts";
import type { Inserted } from "../jobs/jobs.ts";
import { withKey } from "../jobs/links.ts";
import type { GatewayContext } from "./context.ts";
import type { EndpointRoute } from "./routes.ts";

export interface JobRequest {
  context: GatewayContext;
  route: EndpointRoute;
  /** As the client sees it. */
  url: URL;
  /** Where the API is for the client; job links are below it. */
  apiOrigin: string;
  /** The request came by an app's own host, where `/v1` is the app's: links are absolute. */
  absoluteLinks: boolean;
  idempotencyKey: string | null;
  /** Answer with the result where the job ends within this; 0: answer at once with 202. */
  waitMs: number;
  /** What of the client's preferences is heeded, for the Preference-Applied header. */
  applied: string[];
}

/** Makes a job of a request: 202 once it is on disk, or 200 with its result where it ends within the time that the client would wait. */
export async function callAsJob(x: Exchange, p: JobRequest): Promise<void> {
  const { jobs } = p.context;
  const inserted = await spawn(x, p);
  const record =
    p.waitMs === 0
      ? inserted.job
      : await jobs.wait({
          job: inserted.job.job,
          timeoutMs: p.waitMs,
          signal: AbortSignal.any([x.signal, p.context.stopping]),
        });
  const shown = record === inserted.job ? p.context.jobs.view.inserted(inserted) : jobs.toJson(record);
  const json = linkedJson(await shown, record.job, p);
  const headers = {
    location: p.absoluteLinks ? json.links.self : p.apiOrigin + json.links.self,
    ...(p.applied.length > 0 ? { "preference-applied": p.applied.join(", ") } : {}),
  };
  if (p.waitMs === 0 || !isFinal(record.status)) {
    sendJson(x, 202, json, headers);
    return;
  }
  const error = jobErrorOf(record);
  if (error) throw new AthanorError(error.code, error.detail, { headers });
  sendJson(x, 200, json.result, headers);
}

async function spawn(x: Exchange, p: JobRequest): Promise<Inserted> {
  const { deployment, fn, maxBodyBytes } = p.route;
  if (fn.input.mode === "request") {
    throw new AthanorError("bad_request", `${fn.name} takes the request itself, and so cannot run as a job`, {
      hint: "Call it without Prefer: respond-async and without Idempotency-Key.",
    });
  }
  acceptBody(x, maxBodyBytes);
  const { body, attachments } = await readBody({
    method: x.method,
    url: p.url,
    contentType: x.header("content-type") ?? null,
    contentLength: x.contentLength,
    body: bodyStream(x),
    fn,
    $defs: deployment.spec.$defs,
    maxBodyBytes,
  });
  checkInput({ fn: fn.name, validators: deployment.validators(), body });
  return p.context.jobs.spawn({
    deployment,
    fn,
    body,
    attachments,
    traceparent: x.trace.traceparent,
    idempotencyKey: p.idempotencyKey,
  });
}

/** Job ids can be guessed, so each of the links bears the key to this one job. */
function linkedJson(json: JobJson, job: number, p: JobRequest): JobJson {
  const keyed = withKey(json, json.job_id, p.context.auth.jobKey(job));
  if (!p.absoluteLinks) return keyed;
  const links = Object.entries(keyed.links).map(([name, link]) => [name, p.apiOrigin + link]);
  return { ...keyed, links: Object.fromEntries(links) as JobJson["links"] };
}
