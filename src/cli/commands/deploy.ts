import type { PlanSide } from "../../plan/plan.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { DeployResult } from "../../protocol/wire.ts";
import type { Api } from "../../sdk/client/api.ts";
import { type Command, type CommandCall, EXIT, requireArg } from "../command.ts";
import { fields } from "../output.ts";
import { showFunctions } from "../show.ts";

export const deploy: Command = {
  name: "deploy",
  summary: "Build an entry file and make it live",
  args: [{ name: "entry", description: "The file that has `new App(...)`" }],
  options: [
    { flags: "--plan", description: "Change nothing: say what a deploy would change" },
    { flags: "--fail-on-breaking", description: "With --plan: end with 4 where a change may break callers" },
  ],
  examples: ["athanor deploy app.ts", "athanor deploy app.ts --plan"],
  async run(call) {
    const plans = call.options.plan === true;
    if (call.options.failOnBreaking === true && !plans)
      throw new AthanorError("usage", "--fail-on-breaking is given without --plan");
    const api = await call.api();
    // A build takes seconds: a server that is not there, or a wrong token, should show before.
    await api.getServer();
    const startedAt = performance.now();
    // The compiler is much of what a deploy loads: only here.
    const { build } = await import("../../build/index.ts");
    const upload = await build({ entry: requireArg(call, "entry") });
    const buildS = (performance.now() - startedAt) / 1000;
    const next = plans ? "comparing with what is live on" : "deploying to";
    call.out.note(`Built ${upload.spec.name} in ${buildS.toFixed(1)} s; ${next} ${api.url}`);
    if (plans) return await plan(call, api, upload);
    const result = await api.deploy(upload);
    call.out.result(result, () => describe(result, api.url));
  },
};

async function plan(call: CommandCall, api: Api, upload: DeploymentUpload): Promise<number> {
  const [{ planOf }, { showPlan }] = await Promise.all([import("../../plan/plan.ts"), import("../show-plan.ts")]);
  const app = upload.spec.name;
  const live = await liveOf(api, app);
  const planned = planOf(live, upload);
  const id = live?.id ?? null;
  call.out.result({ app, deployment_id: id, ...planned }, () => showPlan(planned, { app, live: id }));
  return call.options.failOnBreaking === true && planned.breaking > 0 ? EXIT.breaking : EXIT.ok;
}

/** What is live of the app, to be compared with; null: it is not. */
async function liveOf(api: Api, app: string): Promise<(PlanSide & { id: string }) | null> {
  try {
    const { deployment_id: id } = await api.getApp(app);
    const [spec, { digest }, { known, dependencies }] = await Promise.all([
      api.deploymentSpec(id),
      api.getDeployment(id),
      api.deploymentDependencies(id),
    ]);
    return { id, spec, digest, dependencies: known ? dependencies : undefined };
  } catch (error) {
    if (error instanceof AthanorError && error.code === "app_not_found") return null;
    throw error;
  }
}

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
