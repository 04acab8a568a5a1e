import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { isFinal } from "../../protocol/job.ts";
import { formatId } from "../../protocol/names.ts";
import type { AppJson, Page } from "../../protocol/wire.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import { sendEmpty, sendJson } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { preferencesOf } from "../http/prefer.ts";
import type { JobCount, JobRecord } from "../store/store.ts";
import { idempotencyKeyOf } from "./idempotency.ts";
import { type ApiCall, type Route, requireParam } from "./route.ts";
import { appLinks, functionsJson } from "./show.ts";
import { liveDeployment, spawnCall } from "./spawn.ts";
import { checkSpawnRequest } from "./spawn-request.ts";

export const appRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/apps",
    access: "operator",
    summary: "Apps with a live deployment",
    answers: { 200: "AppPage" },
    handle: async ({ x, context }) => {
      const counts = await context.store.jobCounts({ now: Date.now() });
      const items = context.deployments.listLive().map((deployment) => appJson(deployment, counts));
      const page: Page<AppJson> = { items: items.sort((a, b) => (a.app < b.app ? -1 : 1)), next_cursor: null };
      sendJson(x, 200, page);
    },
  },
  {
    method: "GET",
    path: "/v1/apps/:app",
    access: "app",
    summary: "One app",
    answers: { 200: "App" },
    handle: async (call) => {
      const deployment = liveDeployment(call.context, requireParam(call, "app"));
      sendJson(call.x, 200, appJson(deployment, await call.context.store.jobCounts({ now: Date.now() })));
    },
  },
  {
    method: "DELETE",
    path: "/v1/apps/:app",
    access: "operator",
    summary: "Take an app out: its deployments, jobs and events",
    answers: { 204: null },
    handle: async (call) => {
      const app = requireParam(call, "app");
      if (!(await call.context.deployments.remove(app)))
        throw new AthanorError("app_not_found", `there is no app ${JSON.stringify(app.slice(0, 100))}`);
      sendEmpty(call.x, 204);
    },
  },
  {
    method: "POST",
    path: "/v1/apps/:app/functions/:function/jobs",
    access: "app",
    summary: "Enqueue a call",
    headers: {
      "Idempotency-Key": "The same key within 24 h gives the same job.",
      Prefer: "`wait=N`: answer once the job has ended, with 200, or after N seconds.",
    },
    body: "SpawnRequest",
    answers: { 200: "Job", 202: "Job" },
    handle: spawn,
  },
];

async function spawn(call: ApiCall): Promise<void> {
  const { x, context } = call;
  const deployment = liveDeployment(context, requireParam(call, "app"));
  const { job } = await spawnCall(context, {
    deployment,
    function: requireParam(call, "function"),
    request: checkSpawnRequest(await readJson(x, SERVER_DEFAULTS.maxSpawnBodyBytes)),
    idempotencyKey: idempotencyKeyOf(x),
  });
  const { waitS } = preferencesOf(x.header("prefer"));
  if (waitS === null) return sendJob(call, job, 202);
  const signal = AbortSignal.any([x.signal, context.stopping]);
  const record = await context.jobs.wait({ job: job.job, timeoutMs: waitS * 1000, signal });
  await sendJob(call, record, isFinal(record.status) ? 200 : 202, { "preference-applied": `wait=${waitS}` });
}

async function sendJob(
  call: ApiCall,
  job: JobRecord,
  status: number,
  headers: Record<string, string> = {},
): Promise<void> {
  const json = await call.context.jobs.toJson(job);
  sendJson(call.x, status, json, { ...headers, location: json.links.self });
}

function appJson(deployment: LoadedDeployment, counts: JobCount[]): AppJson {
  const own = counts.filter(({ app }) => app === deployment.app);
  const { openapi, docs } = appLinks(deployment.app);
  return {
    app: deployment.app,
    deployment_id: formatId("deployments", deployment.number),
    created_at: new Date(deployment.createdAt).toISOString(),
    functions: functionsJson(deployment.spec),
    jobs: {
      queued: own.reduce((sum, { queued }) => sum + queued, 0),
      running: own.reduce((sum, { running }) => sum + running, 0),
    },
    links: { self: `/v1/apps/${deployment.app}`, openapi, docs },
  };
}
