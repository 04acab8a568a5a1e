import type { Page, ScheduleJson } from "../../protocol/wire.ts";
import { sendJson } from "../http/answer.ts";
import { NO_OPTIONS } from "../jobs/jobs.ts";
import { scheduleJson } from "../schedules/json.ts";
import type { ScheduleRecord } from "../store/store.ts";
import { type ApiCall, type Route, requireParam } from "./route.ts";
import { callerOf, checkCall, liveFunction } from "./spawn.ts";

export const scheduleRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/schedules",
    access: "operator",
    summary: "Scheduled functions, by app and name",
    query: { app: { description: "Of this app alone.", schema: { type: "string" } } },
    answers: { 200: "SchedulePage" },
    handle: async ({ x, context, query }) => {
      const records = await context.schedules.list(query.get("app") ?? undefined);
      const page: Page<ScheduleJson> = { items: records.map(scheduleJson), next_cursor: null };
      sendJson(x, 200, page);
    },
  },
  changing("pause", "No ticks until it is resumed, through deployments and restarts; jobs that are queued still run"),
  changing("resume", "Ticks again, from the next one on"),
  {
    method: "POST",
    path: "/v1/schedules/:app/:function/trigger",
    access: "operator",
    summary: "Run it now, as a tick would, paused or not; its ticks stay as they are",
    answers: { 202: "Job" },
    handle: async (call) => {
      const { context } = call;
      const { app, function: name } = await scheduleOf(call);
      const target = liveFunction(context, app, name);
      const checked = checkCall(target, { call: {}, options: NO_OPTIONS, traceparent: null }, await callerOf(call));
      const json = await context.jobs.view.inserted(
        await context.jobs.spawn({ ...target, ...checked, idempotencyKey: null }),
      );
      sendJson(call.x, 202, json, { location: json.links.self });
    },
  },
];

function changing(action: "pause" | "resume", summary: string): Route {
  return {
    method: "POST",
    path: `/v1/schedules/:app/:function/${action}`,
    access: "operator",
    summary,
    answers: { 200: "Schedule" },
    handle: async (call) => {
      const { schedules } = call.context;
      const record = await schedules[action](requireParam(call, "app"), requireParam(call, "function"));
      sendJson(call.x, 200, scheduleJson(record));
    },
  };
}

/** Throws schedule_not_found. */
function scheduleOf(call: ApiCall): Promise<ScheduleRecord> {
  return call.context.schedules.get(requireParam(call, "app"), requireParam(call, "function"));
}
