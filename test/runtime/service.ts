import { mkdtemp, symlink, writeFile } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { ServiceAddress } from "../../src/protocol/replica.ts";
import type { FunctionSpec } from "../../src/protocol/spec.ts";
import { compileValidators } from "../../src/schema/compile.ts";
import type { StartingReplica } from "../../src/server/replicas/session.ts";
import { makeProject } from "../build/project.ts";
import type { ReplicaHarness } from "./harness.ts";

/** What the code begins with. */
const HEAD = 'import { App } from "athanor";\nconst app = new App("demo");\n';

/** Builds a project whose app has one service, named `service`, and starts a replica of it. */
export async function startService(
  harness: ReplicaHarness,
  p: { code: string; files?: Record<string, string>; packages?: string[] },
): Promise<StartingReplica & { spec: FunctionSpec }> {
  await using project = await makeProject({ "app.ts": HEAD + p.code, ...p.files }, p.packages);
  const upload = await project.build();
  const dir = await mkdtemp(join(harness.dir, "deployment-"));
  const bundlePath = join(dir, "bundle.mjs");
  const validatorsPath = join(dir, "validators.cjs");
  await writeFile(bundlePath, upload.bundle);
  await writeFile(`${bundlePath}.map`, upload.sourceMap);
  await writeFile(validatorsPath, await compileValidators(upload.spec));
  await symlink(join(import.meta.dirname, "../../node_modules"), join(dir, "node_modules"));
  const { spec } = upload;
  const session = harness.startReplica({ number: 1, app: "demo", spec, dir, bundlePath, validatorsPath });
  const [fn] = spec.functions;
  return Object.assign(session, { spec: fn as FunctionSpec });
}

export function ask(
  address: ServiceAddress | null,
  path: string,
  p: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }> {
  if (address === null) throw new Error("The service has no address");
  const to = "path" in address ? { socketPath: address.path } : { host: address.host, port: address.port };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const call: ClientRequest = request({
    ...to,
    path,
    method: p.method ?? "GET",
    headers: p.headers ?? {},
    agent: false,
  });
  call.once("response", resolve).once("error", reject).end(p.body);
  return promise.then(async (answer) => ({
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text: await text(answer),
  }));
}
