import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { AppJson, Page } from "../../protocol/wire.ts";
import { appLinks, functionsJson } from "../deployments/json.ts";
import type { LoadedDeployment } from "../deployments/loaded.ts";
import { sendEmpty, sendJson } from "../http/answer.ts";
import type { JobCount } from "../store/store.ts";
import { type Route, requireParam } from "./route.ts";
import { liveDeployment } from "./spawn.ts";

export const appRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/apps",
    access: "operator",
    summary: "Apps with a live deployment",
    answers: { 200: "AppPage" },
    handle: async ({ x, context }) => {
      const counts = await context.store.jobCounts({ now: context.store.clock() });
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
      sendJson(
        call.x,
        200,
        appJson(deployment, await call.context.store.jobCounts({ now: call.context.store.clock() })),
      );
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
];

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
