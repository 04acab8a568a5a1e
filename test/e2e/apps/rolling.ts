/** For rolling.test.ts: versions of it differ in the text of their bundle. Each effect is a line of a file, so that one that is doubled shows. */
import { appendFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { App } from "athanor";

const app = new App("rolling");
const version = () => Number("version 0".split(" ")[1]);

export const get = app.endpoint("/get", { methods: ["GET"] }, (n: number) => ({ n, version: version() }));

export const effect = app.endpoint("/effect", (file: string, id: string) => {
  appendFileSync(file, `${id}\n`);
  return { id, version: version() };
});

/** Longer than a switch takes. */
export const slow = app.endpoint("/slow", { methods: ["GET"] }, async (n: number) => {
  await delay(400);
  return { n, version: version() };
});

export const stream = app.endpoint("/stream", { methods: ["GET"] }, async function* (n: number) {
  for (let i = 0; i < n; i++) {
    yield i;
    await delay(20);
  }
});

/** A replica for each call, so that calls are held while there is none. */
export const rare = app.endpoint("/rare", { methods: ["GET"], memoryMb: 512, keepWarmS: 0 }, (n: number) => ({
  n,
  version: version(),
}));

export const work = app.function({ queue: { maxWorkers: 4 } }, async (file: string, id: string) => {
  appendFileSync(file, `${id}\n`);
  await delay(10);
  return id;
});
