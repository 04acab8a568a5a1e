import { sendJson } from "../http/answer.ts";
import type { Route } from "./route.ts";

export const replicaRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/replicas",
    access: "operator",
    summary: "The replicas that run now",
    answers: { 200: "ReplicaPage" },
    handle: ({ x, context }) => sendJson(x, 200, { items: context.scheduler.replicas(), next_cursor: null }),
  },
];
