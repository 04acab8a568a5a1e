import { type Command, requireArg } from "../command.ts";
import { fields, printable } from "../output.ts";

export const jobWebhook: Command = {
  name: "job webhook",
  summary: "Show how the delivery of a job's webhook goes",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  async run(call) {
    const webhook = await (await call.api()).getWebhook(requireArg(call, "id"));
    call.out.result(webhook, () =>
      fields([
        ["url", printable(webhook.url)],
        ["state", webhook.state === "waiting" ? "waiting for the job's end" : webhook.state],
        ["attempts", `${webhook.attempts} of ${webhook.max_attempts}`],
        ["last error", webhook.last_error],
        ["next", webhook.next_at],
      ]),
    );
  },
};
