import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { postgresMissing } from "../harness/postgres.ts";
import { violations } from "./check.ts";
import { drive, type RunOptions } from "./drive.ts";
import { report } from "./report.ts";
import { summary } from "./summary.ts";

const FOR_MS = 40_000;
const JOBS = 1500;

/** ATHANOR_FAULT_SEED=N replays a run, as far as the machine's timing allows; `npm run faults` is for longer ones. */
const seed = Number(process.env.ATHANOR_FAULT_SEED ?? Math.floor(Math.random() * 1e9));

async function holds(t: TestContext, p: Pick<RunOptions, "servers" | "store">): Promise<void> {
  t.diagnostic(`ATHANOR_FAULT_SEED=${seed}`);
  const dir = await mkdtemp(join(tmpdir(), "athanor-faults-"));
  const said: string[] = [];
  try {
    const say = (line: string): void => void said.push(line);
    const { history, logs } = await drive({ ...p, seed, jobs: JOBS, forMs: FOR_MS, dir, say });
    for (const line of summary(history).split("\n")) t.diagnostic(line);
    const found = violations(history);
    // The folder goes with the test, so all that is needed is in the message.
    const end = logs.split("\n").slice(-200).join("\n");
    assert.equal(found.length, 0, `seed ${seed}\n${report(history, found)}\n\n${said.join("\n")}\n\n${end}`);
    assert.ok(history.faults.length > 0, "no fault struck");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe("the promises of docs/guarantees.md, under faults", {
  skip: process.platform === "linux" ? false : "needs /proc to find what was left running",
}, () => {
  it("hold for one server on SQLite", { timeout: 300_000 }, (t) => holds(t, { servers: 1, store: "sqlite" }));

  it("hold for three servers on one PostgreSQL", { timeout: 300_000, skip: postgresMissing() }, (t) =>
    holds(t, { servers: 3, store: "postgres" }),
  );
});
