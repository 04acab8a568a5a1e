import { QUEUE_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { KeyJson, Page, QueueJson } from "../../protocol/wire.ts";
import type { Context } from "../context.ts";
import { sendJson } from "../http/answer.ts";
import type { KeyRecord, QueueRecord } from "../store/store.ts";
import { PAGE_QUERY, pageJson } from "./deployments.ts";
import { type ApiCall, numberQuery, type Route, requireParam } from "./route.ts";

/** The queues of functions: what waits in them, and what holds it back. */
export const queueRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/queues",
    access: "operator",
    summary: "Queues with jobs that wait or run, and those that are paused",
    query: { app: { description: "Of this app alone.", schema: { type: "string" } } },
    answers: { 200: "QueuePage" },
    handle: async ({ x, context, query }) => {
      const app = query.get("app");
      const records = await context.store.queueList(app === null ? {} : { app });
      const page: Page<QueueJson> = { items: records.map((each) => queueJson(context, each)), next_cursor: null };
      sendJson(x, 200, page);
    },
  },
  pausing("pause", true, "Start no more of the function's jobs; those that run go on"),
  pausing("resume", false, "Start the function's jobs again"),
  {
    method: "GET",
    path: "/v1/queues/:app/:function/keys",
    access: "operator",
    summary: "Concurrency keys with jobs that wait or run, by key",
    query: PAGE_QUERY,
    answers: { 200: "KeyPage" },
    handle: async (call) => {
      const limit = numberQuery(call, "limit", {
        min: 1,
        max: SERVER_DEFAULTS.maxListLimit,
        fallback: SERVER_DEFAULTS.listLimit,
      });
      const after = call.query.get("cursor");
      const { app, function: name } = await queueOf(call);
      const records = await call.context.store.keyList({
        app,
        function: name,
        ...(after === null ? {} : { after }),
        limit: limit + 1,
      });
      const page: Page<KeyJson> = pageJson(records, limit, keyJson, ({ key }) => key);
      sendJson(call.x, 200, page);
    },
  },
];

function pausing(action: string, paused: boolean, summary: string): Route {
  return {
    method: "POST",
    path: `/v1/queues/:app/:function/${action}`,
    access: "operator",
    summary,
    answers: { 200: "Queue" },
    handle: async (call) => {
      const queue = await call.context.jobs.pause({ ...(await queueOf(call)), paused });
      sendJson(call.x, 200, queueJson(call.context, queue));
    },
  };
}

/** A function that is live, or that has a queue all the same. Throws function_not_found. */
async function queueOf(call: ApiCall): Promise<{ app: string; function: string }> {
  const app = requireParam(call, "app");
  const name = requireParam(call, "function");
  const { deployments, store } = call.context;
  if (deployments.live(app)?.fn(name) !== undefined) return { app, function: name };
  const queues = await store.queueList({ app });
  if (queues.some((queue) => queue.function === name)) return { app, function: name };
  throw new AthanorError(
    "function_not_found",
    `there is no function ${JSON.stringify(name.slice(0, 100))} of an app ${JSON.stringify(app.slice(0, 100))}, and no queue of that name`,
  );
}

function queueJson({ deployments }: Pick<Context, "deployments">, queue: QueueRecord): QueueJson {
  const { app, function: name, paused, queued, running } = queue;
  const fn = deployments.live(app)?.fn(name);
  const { concurrency, keyConcurrency, rate } = fn?.limits ?? { concurrency: null, keyConcurrency: 1, rate: null };
  const limits =
    fn === undefined
      ? null
      : {
          size: fn.queue?.size ?? QUEUE_DEFAULTS.size,
          concurrency,
          key_concurrency: keyConcurrency,
          rate: rate === null ? null : { limit: rate.limit, per_s: rate.perS },
        };
  return { app, function: name, paused, queued, running, limits };
}

function keyJson({ key, queued, running, limit }: KeyRecord): KeyJson {
  return { key, queued, running, limit };
}
