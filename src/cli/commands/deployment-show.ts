import { type Command, requireArg } from "../command.ts";
import { fields } from "../output.ts";
import { showFunctions } from "../show.ts";

export const deploymentShow: Command = {
  name: "deployment show",
  summary: "Show a deployment",
  args: [{ name: "id", description: "deployments:7, or 7" }],
  async run(call) {
    const api = await call.api();
    const deployment = await api.getDeployment(requireArg(call, "id"));
    call.out.result(deployment, () => {
      const head = fields([
        ["deployment", deployment.deployment_id],
        ["app", deployment.app],
        ["status", deployment.status],
        ["created", deployment.created_at],
        ["digest", deployment.digest],
        ["error", deployment.error ? `${deployment.error.code}: ${deployment.error.message}` : null],
      ]);
      return `${head}\n\n${showFunctions(deployment.functions, api.url)}`;
    });
  },
};
