/**
 * `npm run bench -- b4 [--rounds N]`: runs one scenario, or all, against its peers and prints a table. No figure is a test.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { hardware } from "./report.ts";

const scenarios = {
  b1: () => import("./scenarios/b1-gateway.ts"),
  b2: () => import("./scenarios/b2-embedded.ts"),
  b3: () => import("./scenarios/b3-throughput.ts"),
  b4: () => import("./scenarios/b4-latency.ts"),
  b5: () => import("./scenarios/b5-cold-start.ts"),
  b6: () => import("./scenarios/b6-events.ts"),
  b7: () => import("./scenarios/b7-websocket.ts"),
  b8: () => import("./scenarios/b8-edit.ts"),
  b10: () => import("./scenarios/b10-growth.ts"),
  b11: () => import("./scenarios/b11-idle.ts"),
  hop: () => import("./scenarios/hop.ts"),
  logs: () => import("./scenarios/log-flood.ts"),
  start: () => import("./scenarios/start.ts"),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "3" } },
});
const names = positionals.length > 0 ? positionals : Object.keys(scenarios);
const unknown = names.filter((name) => !(name in scenarios));
const rounds = Number(values.rounds);
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.error(
    `usage: npm run bench -- [${Object.keys(scenarios).join("|")}] [--rounds N]; got ${process.argv.slice(2).join(" ")}`,
  );
  process.exit(2);
}

const here = import.meta.dirname;
if (!existsSync(`${here}/node_modules`)) {
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: "inherit",
  });
}
console.log(hardware());
for (const name of names) {
  const scenario = await scenarios[name as keyof typeof scenarios]();
  console.log(`\n## ${scenario.title}\n`);
  console.log(await scenario.run({ rounds }));
}
