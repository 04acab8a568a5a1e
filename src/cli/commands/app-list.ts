import type { Command } from "../command.ts";
import { table } from "../output.ts";

export const appList: Command = {
  name: "app list",
  summary: "List the deployed apps",
  async run({ out, api }) {
    const page = await (await api()).listApps();
    out.result(page, () => {
      if (page.items.length === 0) return "No apps. Deploy one: athanor deploy ENTRY";
      const rows = page.items.map((app) => [
        app.app,
        app.deployment_id,
        String(app.functions.length),
        `${app.jobs.queued} queued, ${app.jobs.running} running`,
        app.created_at,
      ]);
      return table(["APP", "DEPLOYMENT", "FUNCTIONS", "JOBS", "DEPLOYED"], rows);
    });
  },
};
