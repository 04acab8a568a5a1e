import type { DeployResult } from "../../protocol/wire.ts";
import { type Command, requireArg } from "../command.ts";
import { fields } from "../output.ts";
import { showFunctions } from "../show.ts";

export const deploy: Command = {
  name: "deploy",
  summary: "Build an entry file and make it live",
  args: [{ name: "entry", description: "The file that has `new App(...)`" }],
  examples: ["athanor deploy app.ts"],
  async run(call) {
    const api = await call.api();
    // A build takes seconds: a server that is not there, or a wrong token, should show before.
    await api.getServer();
    const startedAt = performance.now();
    // The compiler is much of what a deploy loads: only here.
    const { build } = await import("../../build/index.ts");
    const upload = await build({ entry: requireArg(call, "entry") });
    const buildS = (performance.now() - startedAt) / 1000;
    call.out.note(`Built ${upload.spec.name} in ${buildS.toFixed(1)} s; deploying to ${api.url}`);
    const result = await api.deploy(upload);
    call.out.result(result, () => describe(result, api.url));
  },
};

function describe(result: DeployResult, server: string): string {
  const { deployment, unchanged, links } = result;
  const head = unchanged
    ? `Unchanged: ${deployment.app} is live as ${deployment.deployment_id} with this very code.`
    : `Deployed ${deployment.app} as ${deployment.deployment_id}.`;
  const addresses = fields([
    ["docs", new URL(links.docs, server).href],
    ["openapi", new URL(links.openapi, server).href],
  ]);
  return `${head}\n\n${showFunctions(deployment.functions, server)}\n\n${addresses}`;
}
