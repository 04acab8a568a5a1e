import { type Command, requireArg } from "../command.ts";
import { fields, printable } from "../output.ts";

export const jobWebhook: Command = {
  name: "job webhook",
  summary: "Show how the delivery of a job's webhook goes",
  args: [{ name: "id", description: "jobs:12, or 12" }],
  options: [{ flags: "--redeliver", description: "Deliver it once more, now, whatever became of it" }],
  async run(call) {
    const [api, id] = [await call.api(), requireArg(call, "id")];
    const webhook = await (call.options.redeliver === true ? api.redeliverWebhook(id) : api.getWebhook(id));
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
