import { type Command, requireArg } from "../command.ts";
import { printable } from "../output.ts";

export const jobLogs: Command = {
  name: "job logs",
  summary: "Print what a job wrote to stdout and stderr",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  options: [{ flags: "-f, --follow", description: "Stay to the job's end" }],
  async run(call) {
    const api = await call.api();
    const { watchJob } = await import("../../sdk/client/job.ts");
    const follow = call.options.follow === true;
    // Without --follow the snapshot, which comes first, says how far the log goes by now.
    let last = Number.POSITIVE_INFINITY;
    for await (const event of watchJob(api, requireArg(call, "id"), { after: 0, snapshot: !follow })) {
      if (event.event === "job.snapshot") last = event.id;
      if (event.event === "job.log") {
        call.out.line(call.out.json ? JSON.stringify(event.data) : printable(event.data.line));
      }
      if (event.id >= last && (event.event !== "job.snapshot" || last === 0)) return;
    }
  },
};
