import type { Api } from "../../sdk/client/api.ts";
import { type Command, requireArg } from "../command.ts";
import { printable } from "../output.ts";

export const jobLogs: Command = {
  name: "job logs",
  summary: "Print what a job wrote to stdout and stderr",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  options: [{ flags: "-f, --follow", description: "Stay to the job's end" }],
  async run(call) {
    const id = requireArg(call, "id");
    const api = await call.api();
    const { watchJob } = await import("../../sdk/client/job.ts");
    const last = call.options.follow === true ? Number.POSITIVE_INFINITY : await latestEvent(api, id);
    for await (const event of watchJob(api, id, { after: 0 })) {
      if (event.event === "job.log") {
        call.out.line(call.out.json ? JSON.stringify(event.data) : printable(event.data.line));
      }
      if (event.id >= last) return;
    }
  },
};

/** A snapshot without a cursor bears the number of the newest event. */
async function latestEvent(api: Api, id: string): Promise<number> {
  const { watchJob } = await import("../../sdk/client/job.ts");
  for await (const event of watchJob(api, id, { snapshot: true })) return event.id;
  return 0;
}
