import type { ServerJson, StoreJson } from "../../protocol/wire.ts";
import { checkBlobs } from "../blobs/needed.ts";
import type { Context } from "../context.ts";
import { sendJson, sendText } from "../http/answer.ts";
import { metricsText } from "./metrics.ts";
import type { Route } from "./route.ts";

type Readiness = "ready" | "stopping" | "store unreachable";

function readiness({ isReady, lease }: Context): Readiness {
  if (!isReady()) return "stopping";
  return lease.reaches && lease.held ? "ready" : "store unreachable";
}

export const serverRoutes: Route[] = [
  {
    method: "GET",
    path: "/",
    access: "public",
    summary: "Where things are",
    answers: { 200: "Links" },
    handle: ({ x }) =>
      sendJson(x, 200, { name: "athanor", links: { openapi: "/openapi.json", health: "/healthz", ready: "/readyz" } }),
  },
  {
    method: "GET",
    path: "/healthz",
    access: "public",
    summary: "Answers while the process lives",
    answers: { 200: "Status" },
    handle: ({ x }) => sendJson(x, 200, { status: "ok" }),
  },
  {
    method: "GET",
    path: "/readyz",
    access: "public",
    summary: "200 while the server takes requests and reaches its store, else 503",
    answers: { 200: "Status", 503: "Status" },
    handle: ({ x, context }) => {
      const status = readiness(context);
      sendJson(x, status === "ready" ? 200 : 503, { status });
    },
  },
  {
    method: "GET",
    path: "/metrics",
    access: "operator",
    summary: "Prometheus text",
    answers: { 200: null },
    handle: async ({ x, context }) =>
      sendText(x, 200, await metricsText(context), { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
  },
  {
    method: "GET",
    path: "/v1/server",
    access: "operator",
    summary: "The server itself",
    answers: { 200: "Server" },
    handle: ({ x, context }) => {
      const server: ServerJson = {
        version: context.version,
        node: process.versions.node,
        data_dir: context.config.dataDir,
        pid: process.pid,
        started_at: new Date(context.startedAt).toISOString(),
      };
      sendJson(x, 200, server);
    },
  },
  {
    method: "GET",
    path: "/v1/server/store",
    access: "operator",
    summary: "The store, and this server among those that share it",
    answers: { 200: "Store" },
    handle: async ({ x, context: { store, lease } }) => {
      const { kind, place, version, schema, latencyMs } = await store.about();
      const json: StoreJson = {
        ...{ kind, place, version, schema, latency_ms: latencyMs },
        ...{ servers: lease.servers, leads: lease.leads },
      };
      sendJson(x, 200, json);
    },
  },
  {
    method: "GET",
    path: "/v1/server/check",
    access: "operator",
    summary: "What is wrong with the stored data; empty where all is well",
    answers: { 200: "Check" },
    handle: async ({ x, context }) => {
      const [stored, files] = await Promise.all([context.store.check(), checkBlobs(context)]);
      sendJson(x, 200, { problems: [...stored, ...files] });
    },
  },
];
