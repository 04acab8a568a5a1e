import { AthanorError } from "../../protocol/errors.ts";
import { parseId } from "../../protocol/names.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import { bodyFromCall } from "../../schema/call-body.ts";
import { checkInput } from "../../schema/check.ts";
import { extractMedia } from "../../schema/extract.ts";
import type { Context } from "../context.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import { validTraceparent } from "../http/trace.ts";
import type { Call } from "../jobs/jobs.ts";
import type { ApiCall } from "./route.ts";
import type { CheckedSpawn } from "./spawn-request.ts";

/** What is called. */
export interface CallTarget {
  deployment: LoadedDeployment;
  fn: FunctionSpec;
}

/** The app's live deployment. Throws app_not_found. */
export function liveDeployment(context: Pick<Context, "deployments">, app: string): LoadedDeployment {
  const deployment = context.deployments.live(app);
  if (!deployment) throw context.deployments.absence(app);
  return deployment;
}

/** A function of the app's live deployment. Throws app_not_found, function_not_found. */
export function liveFunction(context: Pick<Context, "deployments">, app: string, name: string): CallTarget {
  const deployment = liveDeployment(context, app);
  const fn = deployment.fn(name);
  if (fn) return { deployment, fn };
  throw new AthanorError("function_not_found", `the app ${app} has no function ${JSON.stringify(name.slice(0, 100))}`);
}

/** A call as the queue takes it. Throws input_invalid, media_invalid, body_too_large. */
export function checkCall(
  { deployment, fn }: CallTarget,
  { call, options, traceparent }: CheckedSpawn,
  caller: Caller,
): Call {
  const { parent } = caller;
  const { body, attachments } = extractMedia(fn, deployment.spec.$defs, bodyFromCall(fn, call));
  checkInput({ fn: fn.name, validators: deployment.validators(), body });
  return {
    body,
    attachments,
    options: parent === null ? options : { ...options, parent },
    traceparent: traceparent ?? caller.traceparent,
  };
}

/** Who makes the calls of a request. */
export interface Caller {
  parent: number | null;
  /** For those that say none of their own. */
  traceparent: string | null;
}

/** Throws bad_request. */
export async function callerOf(call: ApiCall): Promise<Caller> {
  return { parent: await parentOf(call), traceparent: validTraceparent(call.x.header("traceparent")) };
}

/** The job whose code makes the request, where a replica of its app says so; others have no say in it. Throws bad_request. */
async function parentOf({ x, context, principal }: ApiCall): Promise<number | null> {
  const header = x.header("athanor-parent-job");
  if (header === undefined || principal.kind !== "replica") return null;
  const parent = parseId("jobs", header);
  if (parent === null) {
    const given = JSON.stringify(header.slice(0, 100));
    throw new AthanorError("bad_request", `Athanor-Parent-Job is ${given}; the id of a job is needed`);
  }
  if (context.jobs.runningOn(parent, principal.replicaId) !== undefined) return parent;
  // Code may go on after its job's end.
  const record = await context.store.jobGet({ job: parent });
  return record?.app === principal.app ? parent : null;
}
