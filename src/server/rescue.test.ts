import assert from "node:assert/strict";
import { test } from "node:test";
import { Rescue } from "./rescue.ts";
import type { JobChange, Store } from "./store/store.ts";

const changes = (count: number): JobChange[] => Array.from({ length: count }, () => ({}) as JobChange);

test("all jobs of lost servers are taken up, in steps, by one call at a time, while the server leads", async () => {
  const steps = [500, 500, 20, 500, 500];
  const asked: Parameters<Store["jobRescue"]>[0][] = [];
  const rescued: number[] = [];
  let leads = true;
  const rescue = new Rescue({
    store: {
      clock: () => 7,
      jobRescue: async (p) => {
        asked.push(p);
        return changes(steps.shift() ?? 0);
      },
    },
    server: () => "me",
    rescued: (list) => {
      rescued.push(list.length);
      if (rescued.length === 4) leads = false;
    },
    leads: () => leads,
    log: { error: () => assert.fail() },
  });
  await Promise.all([rescue.run(), rescue.run()]);
  assert.deepEqual(rescued, [500, 500, 20]);
  assert.deepEqual(asked[0], { server: "me", owners: "expired", now: 7, limit: 500 });
  await rescue.run();
  assert.deepEqual(rescued, [500, 500, 20, 500]);
});

test("a store that is away is told of, and asked again at the next beat", async () => {
  const told: string[] = [];
  const rescue = new Rescue({
    store: { clock: () => 7, jobRescue: async () => Promise.reject(new Error("away")) },
    server: () => "me",
    rescued: () => assert.fail(),
    leads: () => true,
    log: { error: (_, message) => told.push(message) },
  });
  await rescue.run();
  await rescue.run();
  assert.equal(told.length, 2);
});
