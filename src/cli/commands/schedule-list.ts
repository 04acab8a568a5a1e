import type { ScheduleJson } from "../../protocol/wire.ts";
import { type Command, textOption } from "../command.ts";
import { table } from "../output.ts";

export const scheduleList: Command = {
  name: "schedule list",
  summary: "List scheduled functions, and when each runs next",
  options: [{ flags: "--app-name <name>", description: "Of this app alone" }],
  async run(call) {
    const page = await (await call.api()).listSchedules({ app: textOption(call, "appName") });
    call.out.result(page, () => {
      if (page.items.length === 0) return "No function has a schedule: its `schedule` option gives it one.";
      const rows = page.items.map((item) => [
        `${item.app}/${item.function}`,
        rhythm(item),
        item.missed,
        item.next_at ?? "paused",
        item.last_at === null ? "never" : `${item.last_at} (${item.last_job_id})`,
      ]);
      return table(["FUNCTION", "SCHEDULE", "MISSED", "NEXT", "LAST"], rows);
    });
  },
};

export function rhythm({ schedule, time_zone, every_s }: ScheduleJson): string {
  return schedule === null ? `every ${every_s} s` : `${schedule} (${time_zone})`;
}
