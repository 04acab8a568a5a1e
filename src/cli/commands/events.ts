import { SERVER_EVENT_TYPES, type ServerWatchEvent } from "../../protocol/server-event.ts";
import { type Command, EXIT, textOption } from "../command.ts";
import { untilInterrupted } from "../interrupt.ts";
import { namesOption } from "../names-option.ts";
import { printable, table } from "../output.ts";

export const events: Command = {
  name: "events",
  summary: "Print what happens on the server: jobs, replicas, deployments, until Ctrl-C",
  options: [
    { flags: "--app-name <name>", description: "Of this app alone" },
    { flags: "--events <types>", description: `Only these, with commas: ${SERVER_EVENT_TYPES.join(", ")}` },
    { flags: "--after <id>", description: "Go on after this event instead of beginning with what there is" },
  ],
  examples: ["athanor events", "athanor events --app-name demo --events job --json"],
  async run(call) {
    const { out } = call;
    const only = namesOption(call, "events", "--events", SERVER_EVENT_TYPES);
    const { serverEvents } = await import("../../sdk/client/server-events.ts");
    const api = await call.api();
    await untilInterrupted(async (signal) => {
      const options = { events: only, app: textOption(call, "appName"), after: textOption(call, "after"), signal };
      for await (const event of serverEvents(api, options)) {
        out.line(out.json ? JSON.stringify(event) : describeServerEvent(event));
      }
    });
    return EXIT.interrupted;
  },
};

/** A line for an event; for a snapshot, what there is as a table. */
export function describeServerEvent(event: ServerWatchEvent): string {
  switch (event.event) {
    case "job":
      return `${event.data.at}  ${event.data.job_id}  ${event.data.app}/${event.data.function}  ${event.data.status}`;
    case "replica": {
      const reason = event.data.reason === undefined ? "" : `: ${printable(event.data.reason)}`;
      return `${event.data.at}  ${event.data.replica_id}  ${event.data.app}  ${event.data.status}${reason}`;
    }
    case "deployment": {
      const { error } = event.data;
      const reason = error === undefined ? "" : `: ${error.code}: ${printable(error.message.split("\n")[0] ?? "")}`;
      return `${event.data.at}  ${event.data.deployment_id}  ${event.data.app}  ${event.data.status}${reason}`;
    }
    case "stream.reset":
      return `${event.event}  what came after ${event.data.requested} is no longer kept`;
    case "server.snapshot": {
      const { at, functions, replicas, deployments } = event.data;
      const rows = functions.map((fn) => [`${fn.app}/${fn.function}`, String(fn.queued), String(fn.running)]);
      const counts = `${at}  ${deployments.length} live deployments, ${replicas.length} replicas`;
      return rows.length === 0 ? counts : `${counts}\n${table(["FUNCTION", "QUEUED", "RUNNING"], rows)}`;
    }
  }
}
