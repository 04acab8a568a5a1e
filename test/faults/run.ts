/**
 * npm run faults -- [--seed N] [--minutes M] [--jobs N] [--servers N] [--store sqlite|postgres]
 *
 * Drives calls against servers that are killed, held, cut off, filled up and lied to about the time, and checks what was promised. Exits with 1
 * where a promise was broken, and says which, with all that is known of the job. The seed gives the same calls and the same plan of faults.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { violations } from "./check.ts";
import { drive } from "./drive.ts";
import { keep, report } from "./report.ts";
import { summary } from "./summary.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    minutes: { type: "string", default: "5" },
    jobs: { type: "string", default: "10000" },
    servers: { type: "string", default: "1" },
    store: { type: "string", default: "sqlite" },
  },
});
const store = values.store;
if (store !== "sqlite" && store !== "postgres") throw new Error(`--store is ${store}; sqlite or postgres is needed`);
const number = (name: "seed" | "minutes" | "jobs" | "servers"): number => {
  const value = Number(values[name]);
  if (!(value >= (name === "seed" ? 0 : 0.01))) throw new Error(`--${name} is ${values[name]}; a number is needed`);
  return value;
};
const [seed, jobs, servers, minutes] = [number("seed"), number("jobs"), number("servers"), number("minutes")];
if (store === "sqlite" && servers !== 1)
  throw new Error("SQLite is for one server: --servers 3 needs --store postgres");

console.log(
  `npm run faults -- --seed ${seed} --minutes ${minutes} --jobs ${jobs} --servers ${servers} --store ${store}`,
);
const dir = mkdtempSync(join(tmpdir(), "athanor-faults-"));
const say = (line: string): void => console.log(line);
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const)
  process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
try {
  const { history, logs } = await drive({
    seed,
    jobs,
    servers,
    store,
    forMs: minutes * 60_000,
    dir,
    say,
    signal: stop.signal,
  });
  const found = violations(history);
  console.log(summary(history));
  if (found.length > 0) {
    console.log(report(history, found));
    console.log(`The whole history and the servers' logs are in ${keep(history, logs)}; seed ${seed}`);
    process.exitCode = 1;
  } else console.log("Every promise was kept.");
} finally {
  rmSync(dir, { recursive: true, force: true });
}
