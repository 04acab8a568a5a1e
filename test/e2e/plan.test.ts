/** `athanor deploy --plan`, from the source of two versions to what is printed. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Plan } from "../../src/plan/change.ts";
import type { DeploymentJson, Page } from "../../src/protocol/wire.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";
import { CliRun, temporaryFolder } from "./cli-process.ts";

const HEAD = 'import { App } from "athanor";\nconst app = new App("planned");\n';
const BEFORE = `${HEAD}
interface Order { id: number; state: "open" | "paid"; note?: string }
export const order = app.endpoint("/order", { methods: ["GET"] }, (id: number): Order => ({ id, state: "open" }));
export const gone = app.function(() => 1);
`;
const AFTER = `${HEAD}
interface Order { id: string; state: "open" | "paid" | "sent"; note?: string }
export const order = app.endpoint("/order", { methods: ["GET"], keepWarmS: 30 },
  (id: number, currency: string, detailed = false): Order => ({ id: String(id) + currency + detailed, state: "sent" }));
export const report = app.function({ schedule: { everyS: 60 } }, () => 1);
`;

let server: TestServer;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let entry: string;

before(async () => {
  [server, folder] = await Promise.all([startTestServer(), temporaryFolder()]);
  entry = join(folder.path, "app.ts");
  await writeFile(join(folder.path, "package.json"), '{"type": "module"}');
});
after(async () => {
  await server?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

async function deploy(...args: string[]) {
  await using run = new CliRun(["deploy", entry, ...args, "--url", server.url], {
    env: { ATHANOR_TOKEN: server.token },
  });
  return await run.ended;
}

test("a plan says what a deploy would change, with what breaks, and changes nothing", async () => {
  await writeFile(entry, BEFORE);
  const fresh = await deploy("--plan");
  assert.equal(fresh.status, 0, fresh.stderr);
  assert.match(
    fresh.stdout,
    /^planned is not live yet\. A deploy would change:\n\nthe app\n {2}\+ app +the app planned is new\n/,
  );
  assert.equal((await deploy()).status, 0);
  assert.match((await deploy("--plan")).stdout, /^planned is live as deployments:1\. Nothing changes\.\n$/);

  await writeFile(entry, AFTER);
  const { status, stdout } = await deploy("--plan");
  assert.equal(status, 0);
  for (const line of [
    /\ngone\n {2}- function +is no more {2}BREAKING\n/,
    /\norder\n/,
    /\n {2}\+ input +currency is new, and required {2}BREAKING\n/,
    /\n {2}\+ input +detailed is new, and optional\n/,
    /\n {2}~ output +id is string now, and was number {2}BREAKING\n/,
    /\n {2}~ output +state may be "sent" now {2}BREAKING\n/,
    /\n {2}~ option +keepWarmS: 600 -> 30\n/,
    /\nreport\n {2}\+ function +is new\n {2}\+ schedule +runs every 60 s\n/,
    /\n4 of \d+ changes may break callers\.\n$/,
  ])
    assert.match(stdout, line);
  const failing = await deploy("--plan", "--fail-on-breaking", "--json");
  assert.equal(failing.status, 4);
  const plan = JSON.parse(failing.stdout) as Plan & { app: string; deployment_id: string };
  assert.deepEqual([plan.app, plan.deployment_id, plan.breaking], ["planned", "deployments:1", 4]);
  assert.ok(plan.changes.some(({ of, before, after }) => of === "keepWarmS" && before === 600 && after === 30));
  const { items } = await server.api.json<Page<DeploymentJson>>("GET", "/v1/deployments");
  assert.equal(items.length, 1);
  assert.equal((await deploy("--fail-on-breaking")).status, 2);
});
