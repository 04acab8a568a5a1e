import { AthanorError } from "../../protocol/errors.ts";
import type { SpawnRequest } from "../../protocol/wire.ts";
import { bodyFromCall, extractMedia } from "../../schema/body.ts";
import { checkInput } from "../../schema/check.ts";
import type { Context } from "../context.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import type { InsertedJob } from "../store/store.ts";

/** The app's live deployment. Throws app_not_found. */
export function liveDeployment(context: Context, app: string): LoadedDeployment {
  const deployment = context.deployments.live(app);
  if (!deployment) throw context.deployments.absence(app);
  return deployment;
}

/** Checks one call and enqueues it. Rejects with function_not_found, input_invalid, media_invalid, and with what Jobs.spawn does. */
export async function spawnCall(
  context: Context,
  p: { deployment: LoadedDeployment; function: string; request: SpawnRequest; idempotencyKey: string | null },
): Promise<InsertedJob> {
  const { deployment, idempotencyKey } = p;
  const fn = deployment.fn(p.function);
  if (!fn)
    throw new AthanorError(
      "function_not_found",
      `the app ${deployment.app} has no function ${JSON.stringify(p.function.slice(0, 100))}`,
    );
  const { body, attachments } = extractMedia(fn, deployment.spec.$defs, bodyFromCall(fn, p.request));
  checkInput({ fn: fn.name, validators: deployment.validators(), body });
  return context.jobs.spawn({ deployment, fn, body, attachments, idempotencyKey });
}
