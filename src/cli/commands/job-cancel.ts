import { isFinal } from "../../protocol/job.ts";
import { type Command, requireArg } from "../command.ts";

export const jobCancel: Command = {
  name: "job cancel",
  summary: "Cancel a job: its code's signal aborts, and after a grace it is killed",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  async run(call) {
    const job = await (await call.api()).cancelJob(requireArg(call, "id"));
    call.out.result(job, () =>
      isFinal(job.status) ? `${job.job_id} is ${job.status}.` : `${job.job_id} is being stopped.`,
    );
  },
};
