import { AthanorError } from "../../protocol/errors.ts";
import type { LogLine } from "../../protocol/wire.ts";
import type { Api } from "../../sdk/client/api.ts";
import { type Command, type CommandCall, requireArg, textOption } from "../command.ts";
import { printable } from "../output.ts";
import { numberOption } from "../paging.ts";
import type { HealthParams } from "../startup-tail.ts";

export const deploymentLogs: Command = {
  name: "deployment logs",
  summary: "Print what a deployment's replicas wrote",
  args: [{ name: "id", description: "deployments:7, or 7" }],
  options: [
    { flags: "--function-name <name>", description: "Of this function alone" },
    { flags: "--limit <n>", description: "The last this many lines (default 1000)" },
    { flags: "-f, --follow", description: "Stay and print new lines as they come" },
    {
      flags: "--health-path <path>",
      description: "Also the startup_log_tail that the service answers there, until it is ready",
    },
  ],
  examples: [
    "athanor deployment logs 7 --follow",
    "athanor deployment logs 7 --function-name api --health-path /health",
  ],
  async run(call) {
    const id = requireArg(call, "id");
    const query = {
      function: textOption(call, "functionName"),
      limit: numberOption(call, "limit", "--limit", { min: 0, max: 10_000 }),
    };
    const api = await call.api();
    const healthPath = textOption(call, "healthPath");
    const health =
      healthPath === undefined ? null : await healthOf(api, { id, path: healthPath, name: query.function });
    const startup = health === null ? Promise.resolve() : printStartup(call, health);
    if (call.options.follow === true) {
      const { followLogs } = await import("../follow-logs.ts");
      await Promise.all([startup, printAll(call, followLogs(api, id, query))]);
      return;
    }
    const page = await api.deploymentLogs(id, query);
    for (const line of page.items) print(call, line);
    if (page.items.length === 0) call.out.note("No lines: its replicas have written nothing that is still kept.");
    await startup;
  },
};

async function printAll(call: CommandCall, lines: AsyncIterable<LogLine>): Promise<void> {
  for await (const line of lines) print(call, line);
}

/** Where the service's health path is, through the gateway. @throws AthanorError `usage` where none can be asked. */
async function healthOf(
  api: Api,
  p: { id: string; path: string; name: string | undefined },
): Promise<HealthParams & { name: string }> {
  if (!p.path.startsWith("/"))
    throw new AthanorError("usage", `--health-path is ${JSON.stringify(p.path)}; a path such as /health is needed`);
  const [{ app, status, deployment_id }, { functions }] = await Promise.all([
    api.getDeployment(p.id),
    api.deploymentSpec(p.id),
  ]);
  if (status !== "live")
    throw new AthanorError(
      "usage",
      `${deployment_id} is ${status}: only a live deployment can be asked at a health path`,
    );
  const served = functions.filter(({ endpoint, service }) => (endpoint ?? service) !== null);
  const named =
    p.name === undefined
      ? served.filter(({ service }) => service !== null)
      : served.filter(({ name }) => name === p.name);
  const [fn] = named;
  if (p.name !== undefined && fn === undefined)
    throw new AthanorError("usage", `${app} has no function ${p.name} that answers HTTP`);
  if (named.length > 1)
    throw new AthanorError("usage", `${app} has several services: ${named.map(({ name }) => name).join(", ")}`, {
      hint: "Name one with --function-name.",
    });
  // Where there is no service, an endpoint of the app answers.
  const below = fn?.service ? fn.service.path.replace(/\/$/, "") : "";
  const face = fn?.service ?? served.find(({ endpoint }) => endpoint?.path === p.path)?.endpoint;
  return {
    name: fn?.name ?? app,
    url: new URL(`/${app}${below}${p.path}`, api.url).href,
    // The server's token is for what asks for it, and for nobody else's eyes.
    headers: face?.access === "token" ? api.authorization : {},
  };
}

async function printStartup(call: CommandCall, health: HealthParams & { name: string }): Promise<void> {
  const { startupLines } = await import("../startup-tail.ts");
  for await (const line of startupLines({ ...health, problem: (text) => call.out.note(printable(text)) })) {
    const at = new Date().toISOString();
    if (call.out.json) call.out.line(JSON.stringify({ at, function: health.name, stream: "startup_log_tail", line }));
    else call.out.line(`${at}  ${health.name} starts  ${printable(line)}`);
  }
  call.out.note(`${health.name} is ready.`);
}

/** With --json each line is a JSON document of its own, so that a long log can be read as a stream. */
function print({ out }: CommandCall, line: LogLine): void {
  if (out.json) out.line(JSON.stringify(line));
  else out.line(`${line.at}  ${line.job_id ?? line.replica_id}  ${printable(line.line)}`);
}
