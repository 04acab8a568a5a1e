import { type Command, requireArg } from "../command.ts";

export const jobResult: Command = {
  name: "job result",
  summary: "Print a job's result as JSON",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  options: [{ flags: "--wait", description: "Wait for its end" }],
  async run(call) {
    const id = requireArg(call, "id");
    const api = await call.api();
    const { askResult, waitForResult } = await import("../../sdk/client/job.ts");
    const result = call.options.wait === true ? await waitForResult(api, id) : await askResult(api, id, 0);
    call.out.line(JSON.stringify(result, null, 2));
  },
};
