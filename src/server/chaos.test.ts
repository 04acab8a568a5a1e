import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { mock, test } from "node:test";
import { exitOf } from "../../test/harness/fake-replicas.ts";
import { CHAOS_DEFAULTS } from "../protocol/defaults.ts";
import { Chaos } from "./chaos.ts";
import type { AttemptAnswer } from "./jobs/outcome.ts";
import type { JobRecord } from "./store/store.ts";

const ANSWER: AttemptAnswer = { type: "result", value: 1, media: [] };

/** What became of the first attempts of so many jobs, and what was logged. */
async function strike(seed: number, jobs: number, lostCount = 0) {
  const logged: object[] = [];
  const chaos = new Chaos({ seed, log: { warn: (fields) => void logged.push(fields) } });
  const one = async (job: number): Promise<string> => {
    let ran = false;
    const code = async (): Promise<AttemptAnswer> => {
      ran = true;
      return ANSWER;
    };
    const { type } = await chaos.attempt({ job, attempt: 1, lostCount } as JobRecord, code);
    return `${ran ? "ran" : "did not run"}: ${type}`;
  };
  return { ends: await Promise.all(Array.from({ length: jobs }, (_, job) => one(job))), logged };
}

test("attempts are lost before and after their code, each loss is logged, and the seed makes the same again", async () => {
  const { ends, logged } = await strike(1, 60);
  for (const end of ["ran: result", "ran: notRun", "did not run: notRun"]) assert.ok(ends.includes(end), end);
  const lost = ends.filter((end) => end.endsWith("notRun")).length;
  const losses = logged.filter((fields) => "chaos" in fields && /^lost/.test(String(fields.chaos)));
  assert.equal(losses.length, lost);
  assert.deepEqual((await strike(1, 60)).ends, ends);
  assert.notDeepEqual((await strike(2, 60)).ends, ends);
});

test("a job that was lost often enough is left to end", async () => {
  const { ends } = await strike(1, 60, CHAOS_DEFAULTS.maxLosses);
  assert.ok(ends.every((end) => end === "ran: result"));
});

test("a crash is nothing that chaos hides", async () => {
  const chaos = new Chaos({ seed: 1, log: { warn() {} } });
  const lost: AttemptAnswer = { type: "lost", exit: exitOf(), blameless: false };
  const { maxLosses: lostCount } = CHAOS_DEFAULTS;
  const answer = await chaos.attempt({ job: 1, attempt: 4, lostCount } as JobRecord, async () => lost);
  assert.equal(answer, lost);
});

test("a replica is killed once, unless it has ended", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const logged: object[] = [];
    const chaos = new Chaos({ seed: 1, log: { warn: (fields) => void logged.push(fields) } });
    const killed: string[] = [];
    const over = Promise.resolve(exitOf());
    const kill = (id: string) => () => {
      killed.push(id);
      return over;
    };
    chaos.replica({ id: "replicas:1", ended: new Promise(() => {}), kill: kill("replicas:1") });
    chaos.replica({ id: "replicas:2", ended: over, kill: kill("replicas:2") });
    await over;
    await Promise.resolve();
    mock.timers.tick(CHAOS_DEFAULTS.meanReplicaLifeMs * 50);
    assert.deepEqual(killed, ["replicas:1"]);
    assert.deepEqual(logged, [{ chaos: "killed replica", replica: "replicas:1" }]);
  } finally {
    mock.timers.reset();
  }
});

test("of connections, only those of requests that can be sent again are cut", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const chaos = new Chaos({ seed: 1, log: { warn() {} } });
    const cut = (method: string): number => {
      let times = 0;
      for (let i = 0; i < 100; i++) {
        const res = Object.assign(new EventEmitter(), { destroy: () => void times++ }) as unknown as ServerResponse;
        chaos.exchange({ method, path: "/v1/jobs/jobs:1/events", res });
      }
      mock.timers.tick(CHAOS_DEFAULTS.maxCutAfterMs);
      return times;
    };
    assert.ok(cut("GET") > 0);
    assert.equal(cut("POST"), 0);
  } finally {
    mock.timers.reset();
  }
});
