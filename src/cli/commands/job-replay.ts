import { type Command, requireArg } from "../command.ts";

export const jobReplay: Command = {
  name: "job replay",
  summary: "Run an ended job's input again on the app's latest code, as a new job",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  async run(call) {
    const job = await (await call.api()).replayJob(requireArg(call, "id"), crypto.randomUUID());
    call.out.result(job, () => `${job.job_id} runs the input of ${job.retry_of} on ${job.deployment_id}.`);
  },
};
