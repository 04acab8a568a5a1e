import { type Command, requireArg } from "../command.ts";
import { fields } from "../output.ts";
import { showFunctions } from "../show.ts";

export const appShow: Command = {
  name: "app show",
  summary: "Show an app: its functions, their URLs, its jobs",
  args: [{ name: "app", description: "Name of the app" }],
  async run(call) {
    const api = await call.api();
    const app = await api.getApp(requireArg(call, "app"));
    call.out.result(app, () => {
      const head = fields([
        ["app", app.app],
        ["deployment", app.deployment_id],
        ["deployed", app.created_at],
        ["jobs", `${app.jobs.queued} queued, ${app.jobs.running} running`],
        ["docs", new URL(app.links.docs, api.url).href],
        ["openapi", new URL(app.links.openapi, api.url).href],
      ]);
      return `${head}\n\n${showFunctions(app.functions, api.url)}`;
    });
  },
};
