import { JOB_EVENT_TYPES } from "../../protocol/event.ts";
import { type Command, requireArg } from "../command.ts";
import { namesOption } from "../names-option.ts";
import { numberOption } from "../paging.ts";

export const jobWatch: Command = {
  name: "job watch",
  summary: "Print a job's events as they come, to its end",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  options: [
    { flags: "--snapshot", description: "Begin with the job as it is now" },
    { flags: "--after <n>", description: "Only events after this number" },
    { flags: "--events <types>", description: "Only these and job.end, with commas: job.progress,job.result" },
  ],
  examples: ["athanor job watch jobs:12", "athanor job watch jobs:12 --after 40 --json"],
  async run(call) {
    const { watch } = await import("../watch.ts");
    const after = numberOption(call, "after", "--after", { min: 0, max: Number.MAX_SAFE_INTEGER });
    return watch(call.out, await call.api(), requireArg(call, "id"), {
      after,
      events: namesOption(call, "events", "--events", JOB_EVENT_TYPES),
      snapshot: call.options.snapshot === true,
    });
  },
};
