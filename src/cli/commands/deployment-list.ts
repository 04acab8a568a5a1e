import { type Command, textOption } from "../command.ts";
import { table } from "../output.ts";
import { pageOptions, pageQuery } from "../paging.ts";

export const deploymentList: Command = {
  name: "deployment list",
  summary: "List deployments, newest first",
  options: [{ flags: "--app-name <name>", description: "Of this app alone" }, ...pageOptions],
  async run(call) {
    const page = await (await call.api()).listDeployments({ app: textOption(call, "appName"), ...pageQuery(call) });
    call.out.result(page, () => {
      if (page.items.length === 0) return "No deployments. Make one: athanor deploy ENTRY";
      const rows = page.items.map((item) => [
        item.deployment_id,
        item.app,
        item.status,
        item.created_at,
        item.digest.slice(0, 12),
        item.error?.message.split("\n")[0] ?? "",
      ]);
      const more = page.next_cursor === null ? "" : `\nMore: --cursor ${page.next_cursor}`;
      return `${table(["DEPLOYMENT", "APP", "STATUS", "CREATED", "DIGEST", ""], rows)}${more}`;
    });
  },
};
