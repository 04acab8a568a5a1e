import { type Command, requireArg } from "../command.ts";

export const jobRetry: Command = {
  name: "job retry",
  summary: "Start a delayed job now, or run one that did not succeed again, as a new job with the same input and code",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  async run(call) {
    const id = requireArg(call, "id");
    const job = await (await call.api()).retryJob(id, crypto.randomUUID());
    call.out.result(job, () =>
      job.retry_of === null ? `${job.job_id} is due now.` : `${job.job_id} runs the input of ${job.retry_of} again.`,
    );
  },
};
