import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeploymentUpload } from "../../protocol/spec.ts";
import type { DeployResult } from "../../protocol/wire.ts";
import { RebuildLoop } from "./loop.ts";

type Step<T> = PromiseWithResolvers<T>;

/** A loop whose builds and deploys end as the test says, and what it told. */
function makeLoop() {
  const told: string[] = [];
  const builds: Step<DeploymentUpload>[] = [];
  const deploys: (Step<DeployResult> & { digest: string; force: boolean })[] = [];
  let idle = Promise.withResolvers<void>();
  const loop = new RebuildLoop({
    build: () => {
      const step = Promise.withResolvers<DeploymentUpload>();
      builds.push(step);
      return step.promise;
    },
    deploy: ({ digest }, { force }) => {
      const step = { ...Promise.withResolvers<DeployResult>(), digest, force };
      deploys.push(step);
      return step.promise;
    },
    onBuilding: (changed) => void told.push(`building ${changed.join()}`),
    onDeployed: () => void told.push("deployed"),
    onUnchanged: () => void told.push("unchanged"),
    onFailed: (error) => void told.push(`failed ${(error as Error).message}`),
    onIdle: () => {
      told.push("idle");
      idle.resolve();
      idle = Promise.withResolvers();
    },
  });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { loop, told, builds, deploys, turn, idle: () => idle.promise };
}

const upload = (digest: string) => ({ digest }) as DeploymentUpload;
const result = {} as DeployResult;

test("deploys what was built; the same again is unchanged, unless it is asked for", async () => {
  const { loop, told, builds, deploys, turn, idle } = makeLoop();
  loop.changed(["a.ts"]);
  builds[0]?.resolve(upload("1"));
  await turn();
  deploys[0]?.resolve(result);
  await idle();
  loop.changed(["a.ts"]);
  builds[1]?.resolve(upload("1"));
  await idle();
  loop.redeploy();
  builds[2]?.resolve(upload("1"));
  await turn();
  deploys[1]?.resolve(result);
  await idle();
  assert.deepEqual(told, [
    ...["building a.ts", "deployed", "idle"],
    ...["building a.ts", "unchanged", "idle"],
    ...["building ", "deployed", "idle"],
  ]);
  assert.deepEqual(
    deploys.map(({ force }) => force),
    [false, true],
  );
});

test("drops what was built, or failed, of files that have changed meanwhile, and builds once for all that came", async () => {
  const { loop, told, builds, deploys, turn, idle } = makeLoop();
  loop.changed(["a.ts"]);
  loop.changed(["b.ts"]);
  loop.changed(["b.ts", "c.ts"]);
  builds[0]?.reject(new Error("half a file"));
  await turn();
  loop.changed(["d.ts"]);
  builds[1]?.resolve(upload("1"));
  await turn();
  builds[2]?.resolve(upload("2"));
  await turn();
  deploys[0]?.resolve(result);
  await idle();
  assert.deepEqual(told, ["building a.ts", "building b.ts,c.ts", "building d.ts", "deployed", "idle"]);
  assert.deepEqual(
    deploys.map(({ digest }) => digest),
    ["2"],
  );
});

test("a change while it deploys is built after; a refused deploy leaves what was live", async () => {
  const { loop, told, builds, deploys, turn, idle } = makeLoop();
  loop.changed([]);
  builds[0]?.resolve(upload("1"));
  await turn();
  loop.changed(["a.ts"]);
  deploys[0]?.resolve(result);
  await turn();
  builds[1]?.resolve(upload("2"));
  await turn();
  deploys[1]?.reject(new Error("it does not start"));
  await idle();
  loop.changed(["a.ts"]);
  builds[2]?.resolve(upload("1"));
  await idle();
  assert.deepEqual(told, [
    ...["building ", "deployed", "building a.ts", "failed it does not start", "idle"],
    ...["building a.ts", "unchanged", "idle"],
  ]);
});

test("stop waits for what is under way, tells no more, and is repeatable", async () => {
  const { loop, told, builds, deploys, turn } = makeLoop();
  loop.changed([]);
  builds[0]?.resolve(upload("1"));
  await turn();
  const stopped = loop.stop();
  deploys[0]?.reject(new Error("the server stops"));
  await stopped;
  await loop.stop();
  loop.changed(["a.ts"]);
  assert.deepEqual(told, ["building "]);
  assert.equal(builds.length, 1);
});
