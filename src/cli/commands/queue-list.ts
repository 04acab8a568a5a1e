import type { QueueLimitsJson } from "../../protocol/wire.ts";
import { type Command, textOption } from "../command.ts";
import { table } from "../output.ts";

export const queueList: Command = {
  name: "queue list",
  summary: "List queues with jobs that wait or run, and those that are paused",
  options: [{ flags: "--app-name <name>", description: "Of this app alone" }],
  async run(call) {
    const page = await (await call.api()).listQueues({ app: textOption(call, "appName") });
    call.out.result(page, () => {
      if (page.items.length === 0) return "No jobs wait or run, and no queue is paused.";
      const rows = page.items.map((queue) => [
        `${queue.app}/${queue.function}`,
        queue.paused ? "paused" : "open",
        String(queue.queued),
        String(queue.running),
        limitsText(queue.limits),
      ]);
      return table(["FUNCTION", "STATE", "QUEUED", "RUNNING", "LIMITS"], rows);
    });
  },
};

function limitsText(limits: QueueLimitsJson | null): string {
  if (limits === null) return "";
  return [
    `size ${limits.size}`,
    ...(limits.concurrency === null ? [] : [`${limits.concurrency} at a time`]),
    ...(limits.rate === null ? [] : [`${limits.rate.limit} in ${limits.rate.per_s} s`]),
  ].join(", ");
}
