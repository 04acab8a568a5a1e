import { AthanorError } from "../../protocol/errors.ts";
import type { DeployResult } from "../../protocol/wire.ts";
import type { Api } from "../../sdk/client/api.ts";
import { type Command, textOption } from "../command.ts";

export const deploymentRollback: Command = {
  name: "deployment rollback",
  summary: "Make an earlier deployment live again",
  args: [
    {
      name: "id",
      description: "deployments:7, or 7; without it, the one before the live one of the app",
      required: false,
    },
  ],
  options: [{ flags: "--app-name <name>", description: "The app, where there are several and no id is given" }],
  examples: ["athanor deployment rollback", "athanor deployment rollback 7"],
  async run(call) {
    const api = await call.api();
    const { id } = call.args;
    const result =
      id === undefined ? await api.rollbackApp(await appOf(api, textOption(call, "appName"))) : await api.rollback(id);
    call.out.result(result, () => describe(result));
  },
};

async function appOf(api: Api, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const { items } = await api.listApps();
  const [only] = items;
  if (only !== undefined && items.length === 1) return only.app;
  const apps = items.length === 0 ? "none" : items.map(({ app }) => app).join(", ");
  throw new AthanorError("usage", `without an id, the server must have one app, and it has ${apps}`, {
    hint: "Name the app with --app-name, or the deployment.",
  });
}

function describe({ deployment, unchanged }: DeployResult): string {
  const { app, deployment_id: id } = deployment;
  return unchanged ? `Unchanged: ${id} of ${app} is live.` : `${app} is live as ${id} again.`;
}
