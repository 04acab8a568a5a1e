import type { LogLine } from "../../protocol/wire.ts";
import { type Command, type CommandCall, requireArg, textOption } from "../command.ts";
import { printable } from "../output.ts";
import { numberOption } from "../paging.ts";

export const deploymentLogs: Command = {
  name: "deployment logs",
  summary: "Print what a deployment's replicas wrote",
  args: [{ name: "id", description: "deployments:7, or 7" }],
  options: [
    { flags: "--function-name <name>", description: "Of this function alone" },
    { flags: "--limit <n>", description: "The last this many lines (default 1000)" },
    { flags: "-f, --follow", description: "Stay and print new lines as they come" },
  ],
  async run(call) {
    const id = requireArg(call, "id");
    const query = {
      function: textOption(call, "functionName"),
      limit: numberOption(call, "limit", "--limit", { min: 0, max: 10_000 }),
    };
    const api = await call.api();
    if (call.options.follow === true) {
      const { followLogs } = await import("../follow-logs.ts");
      for await (const line of followLogs(api, id, query)) print(call, line);
      return;
    }
    const page = await api.deploymentLogs(id, query);
    for (const line of page.items) print(call, line);
    if (page.items.length === 0) call.out.note("No lines: its replicas have written nothing that is still kept.");
  },
};

/** With --json each line is a JSON document of its own, so that a long log can be read as a stream. */
function print({ out }: CommandCall, line: LogLine): void {
  if (out.json) out.line(JSON.stringify(line));
  else out.line(`${line.at}  ${line.job_id ?? line.replica_id}  ${printable(line.line)}`);
}
