import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { formatId, parseId } from "../../protocol/names.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type {
  DeploymentDependenciesJson,
  DeploymentDetailJson,
  DeploymentJson,
  DeployResult,
  Page,
} from "../../protocol/wire.ts";
import type { Context } from "../context.ts";
import { appLinks, deploymentJson } from "../deployments/json.ts";
import { Phases } from "../deployments/phases.ts";
import type { Deployed } from "../deployments/service.ts";
import { sendJson } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import type { DeploymentRecord } from "../store/store.ts";
import { followLogs, readLogs } from "./deployment-logs.ts";
import { type ApiCall, deploymentParam, numberQuery, type Route, requireParam } from "./route.ts";

export const PAGE_QUERY = {
  cursor: { description: "The `next_cursor` of the page before.", schema: { type: "string" } },
  limit: {
    description: "Items on the page.",
    schema: { type: "integer", minimum: 1, maximum: SERVER_DEFAULTS.maxListLimit, default: SERVER_DEFAULTS.listLimit },
  },
} as const;

export const deploymentRoutes: Route[] = [
  {
    method: "POST",
    path: "/v1/deployments",
    access: "operator",
    summary: "Deploy an app: check, install, try, make live",
    body: "DeploymentUpload",
    query: {
      force: {
        description: "Also where the live one has this very code: its replicas begin anew.",
        schema: { type: "boolean" },
      },
    },
    answers: { 200: "DeployResult", 201: "DeployResult" },
    handle: async ({ x, context, query }) => {
      const phases = new Phases();
      const upload = await phases.time("upload", () => readJson(x, SERVER_DEFAULTS.maxDeploymentBytes));
      const deployed = await context.deployments.create(upload, phases, query.get("force") === "true");
      const result = deployResult(context, deployed);
      sendJson(x, deployed.unchanged ? 200 : 201, result, {
        location: `/v1/deployments/${result.deployment.deployment_id}`,
      });
    },
  },
  {
    method: "POST",
    path: "/v1/deployments/:deployment/rollback",
    access: "operator",
    summary: "Make a deployment live again that was so before",
    answers: { 200: "DeployResult" },
    handle: async (call) => {
      const deployed = await call.context.deployments.rollBack(deploymentParam(call));
      sendJson(call.x, 200, deployResult(call.context, deployed));
    },
  },
  {
    method: "POST",
    path: "/v1/apps/:app/rollback",
    access: "operator",
    summary: "Make the deployment live again that was so before the live one",
    answers: { 200: "DeployResult" },
    handle: async (call) => {
      const deployed = await call.context.deployments.rollBackApp(requireParam(call, "app"));
      sendJson(call.x, 200, deployResult(call.context, deployed));
    },
  },
  {
    method: "GET",
    path: "/v1/deployments",
    access: "operator",
    summary: "Deployments, newest first",
    query: { ...PAGE_QUERY, app: { description: "Of this app alone.", schema: { type: "string" } } },
    answers: { 200: "DeploymentPage" },
    handle: async (call) => {
      const { limit, before } = pageOf(call, "deployments");
      const app = call.query.get("app");
      const records = await call.context.store.deploymentList({
        ...(app === null ? {} : { app }),
        ...(before === null ? {} : { before }),
        limit: limit + 1,
      });
      const page = pageJson(records, limit, shownBy(call.context), (record) =>
        formatId("deployments", record.deployment),
      );
      sendJson(call.x, 200, page);
    },
  },
  {
    method: "GET",
    path: "/v1/deployments/:deployment",
    access: "operator",
    summary: "One deployment, with what runs of it on this server",
    answers: { 200: "DeploymentDetail" },
    handle: async (call) => {
      const record = await recordOf(call);
      const detail: DeploymentDetailJson = {
        ...shownBy(call.context)(record),
        replica_groups: call.context.scheduler.show(record.deployment),
      };
      sendJson(call.x, 200, detail);
    },
  },
  {
    method: "GET",
    path: "/v1/deployments/:deployment/spec",
    access: "principal",
    summary: "What was deployed, but its code: functions, options, schemas. It never changes",
    answers: { 200: "AppSpec" },
    handle: async (call) => {
      const { app, spec } = await recordOf(call);
      const { principal } = call;
      if (principal.kind === "replica" && principal.app !== app) {
        throw new AthanorError(
          "unauthorized",
          `this token is a replica's and holds for the app ${principal.app} alone`,
        );
      }
      sendJson(call.x, 200, spec);
    },
  },
  {
    method: "GET",
    path: "/v1/deployments/:deployment/dependencies",
    access: "operator",
    summary: "The packages that its bundle leaves out, with the lock that pins them",
    answers: { 200: "DeploymentDependencies" },
    handle: async (call) => {
      const { uploadBlob } = await recordOf(call);
      const bytes = uploadBlob === null ? null : await call.context.blobs.get(uploadBlob);
      const upload = bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as DeploymentUpload);
      const json: DeploymentDependenciesJson = { known: upload !== null, dependencies: upload?.dependencies ?? null };
      sendJson(call.x, 200, json);
    },
  },
  {
    method: "GET",
    path: "/v1/deployments/:deployment/logs",
    access: "operator",
    summary: "Output of its replicas; with follow, as server-sent events that go on",
    query: {
      limit: {
        description: "The last this many lines.",
        schema: { type: "integer", minimum: 0, maximum: 10_000, default: 1000 },
      },
      function: { description: "Of this function alone.", schema: { type: "string" } },
      follow: { description: "Stay and send new lines as they come.", schema: { type: "boolean" } },
    },
    answers: { 200: "LogPage" },
    handle: async (call) => {
      const { deployment } = await recordOf(call);
      if (call.query.has("follow") && call.query.get("follow") !== "false") await followLogs(call, deployment);
      else await readLogs(call, deployment);
    },
  },
];

const shownBy =
  ({ deployments }: Context) =>
  (record: DeploymentRecord): DeploymentJson =>
    deploymentJson(record, deployments.phasesOf(record.deployment));

function deployResult(context: Context, { record, unchanged }: Deployed): DeployResult {
  return { deployment: shownBy(context)(record), unchanged, links: appLinks(record.app) };
}

async function recordOf(call: ApiCall): Promise<DeploymentRecord> {
  const deployment = deploymentParam(call);
  const record = await call.context.store.deploymentGet({ deployment });
  if (!record)
    throw new AthanorError("deployment_not_found", `there is no deployment ${formatId("deployments", deployment)}`);
  return record;
}

/** A page of a list: `before` is the number in the cursor. Throws bad_request. */
export function pageOf(call: ApiCall, table: "jobs" | "deployments"): { limit: number; before: number | null } {
  const limit = numberQuery(call, "limit", {
    min: 1,
    max: SERVER_DEFAULTS.maxListLimit,
    fallback: SERVER_DEFAULTS.listLimit,
  });
  const cursor = call.query.get("cursor");
  const before = cursor === null ? null : parseId(table, cursor);
  if (cursor !== null && before === null)
    throw new AthanorError(
      "bad_request",
      `cursor is ${JSON.stringify(cursor.slice(0, 100))}; the next_cursor of a page is needed`,
    );
  return { limit, before };
}

/** `records` may hold one more than the limit, which says that there is a next page. */
export function pageJson<R, J>(
  records: R[],
  limit: number,
  show: (record: R) => J,
  cursorOf: (record: R) => string,
): Page<J> {
  const shown = records.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(show), next_cursor: records.length > limit && last !== undefined ? cursorOf(last) : null };
}
