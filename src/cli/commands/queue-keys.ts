import { type Command, requireArg, textOption } from "../command.ts";
import { printable, table } from "../output.ts";
import { pageOptions, pageQuery } from "../paging.ts";

export const queueKeys: Command = {
  name: "queue keys",
  summary: "List the concurrency keys of a function with jobs that wait or run",
  args: [{ name: "function", description: "Name of the function" }],
  options: [{ flags: "--app-name <name>", description: "The app it belongs to", required: true }, ...pageOptions],
  async run(call) {
    const { toWireName } = await import("../../protocol/names.ts");
    const name = toWireName(requireArg(call, "function"));
    const page = await (await call.api()).listKeys(textOption(call, "appName") ?? "", name, pageQuery(call));
    call.out.result(page, () => {
      if (page.items.length === 0) return "No jobs with a key wait or run.";
      const rows = page.items.map((item) => [
        printable(item.key),
        String(item.queued),
        String(item.running),
        String(item.limit),
      ]);
      const more = page.next_cursor === null ? "" : `\nMore: --cursor ${printable(page.next_cursor)}`;
      return `${table(["KEY", "QUEUED", "RUNNING", "AT A TIME"], rows)}${more}`;
    });
  },
};
