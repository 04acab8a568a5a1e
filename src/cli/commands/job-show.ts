import { type Command, requireArg } from "../command.ts";
import { showJob } from "../show.ts";

export const jobShow: Command = {
  name: "job show",
  summary: "Show a job, and why it waits or failed",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  async run(call) {
    const job = await (await call.api()).getJob(requireArg(call, "id"));
    call.out.result(job, () => showJob(job));
  },
};
