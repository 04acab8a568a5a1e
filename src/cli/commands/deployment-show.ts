import type { DeployPhaseJson } from "../../protocol/wire.ts";
import { type Command, requireArg } from "../command.ts";
import { fields, printable } from "../output.ts";
import { showFunctions } from "../show.ts";
import { showReplicaGroups } from "../show-replicas.ts";

export const deploymentShow: Command = {
  name: "deployment show",
  summary: "Show a deployment, and how its replicas do on this server",
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
        ["error", deployment.error ? `${deployment.error.code}: ${printable(deployment.error.message)}` : null],
        ["stderr", lastLines(deployment.error?.last_stderr ?? [])],
        ["took", showPhases(deployment.phases)],
      ]);
      const functions = showFunctions(deployment.functions, api.url);
      return `${head}\n\n${functions}\n\n${showReplicaGroups(deployment.replica_groups)}`;
    });
  },
};

const lastLines = (lines: string[]): string | null =>
  lines.length === 0 ? null : `\n${lines.map((line) => `  ${printable(line)}`).join("\n")}`;

/** Null where the server does not remember. */
function showPhases(phases: readonly DeployPhaseJson[]): string | null {
  if (phases.length === 0) return null;
  return phases.map(({ phase, duration_s: s }) => `${phase} ${s.toFixed(3)} s`).join(", ");
}
