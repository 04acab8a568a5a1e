/** Functions that do the worst that code can do to its neighbours, and ones beside them that must notice nothing; for engine-limits.test.ts. */
import { mkdirSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { App, type JobContext } from "athanor";

const app = new App("limits");
const never = new Promise<never>(() => {});

/** Counts on until it is told to stop: beside what another job does, its numbers must go on. */
export const ticks = app.function(async function* (context: JobContext) {
  for (let i = 0; !context.signal.aborted; i++) {
    yield i;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

export const beat = app.endpoint("/beat", { methods: ["GET"] }, () => process.pid);
/** With the placement of `beat`, so in its process. */
export const beatAgain = app.endpoint("/beat-again", { methods: ["GET"] }, () => process.pid);
export const elsewhere = app.endpoint("/elsewhere", { methods: ["GET"], memoryMb: 600 }, () => process.pid);
export const queued = app.endpoint("/queued", { queue: {} }, () => process.pid);
export const plain = app.function(() => process.pid);
export const other = app.function(() => process.pid);

export const spins = app.function({ timeoutS: 0.2 }, () => {
  console.log("before the loop");
  console.error("and nothing after");
  for (;;);
});
export const exits = app.function(() => {
  console.error("leaving");
  process.exit(0);
});
export const eats = app.function({ memoryMb: 200 }, async () => {
  const kept: Buffer[] = [];
  for (;;) {
    kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
export const rejectsLate = app.function(async () => {
  setTimeout(() => void Promise.reject(new Error("nobody waits for this")), 1);
  await never;
});

const LINE = `${"x".repeat(99)}\n`;
/** 100 MB through the console's stream. */
export const floods = app.function(() => {
  for (let i = 0; i < 1_000_000; i++) process.stdout.write(LINE);
  console.log("last words");
  return "done";
});
/** 100 MB past it, straight to the file descriptor. */
export const floodsRaw = app.function(() => {
  const block = Buffer.from(LINE.repeat(1000));
  for (let i = 0; i < 1000; i++) {
    for (let at = 0; at < block.length; ) {
      try {
        at += writeSync(1, block, at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      }
    }
  }
  return "done";
});
/** One line of 50 MB, without an end. */
export const floodsOneLine = app.function(() => {
  for (let i = 0; i < 50; i++) process.stdout.write("y".repeat(1_000_000));
  return "done";
});

export const liar = app.function((): { n: number } => ({ n: "no number" }) as unknown as { n: number });
export const cyclic = app.function((): unknown => {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
});
export const lyingChunks = app.function(async function* (): AsyncGenerator<number> {
  yield 1;
  yield "two" as unknown as number;
});

/** Each with a placement of its own, so that its end is no other endpoint's. */
export const spinEndpoint = app.endpoint("/spin", { timeoutS: 0.2, memoryMb: 601 }, (spin: boolean) => {
  while (spin);
  return process.pid;
});
export const exitEndpoint = app.endpoint("/exit", { memoryMb: 602 }, (leave: boolean) => {
  if (leave) {
    console.error("secret last line");
    process.exit(5);
  }
  return process.pid;
});
export const eatEndpoint = app.endpoint("/eat", { memoryMb: 200 }, async () => {
  const kept: Buffer[] = [];
  for (;;) {
    kept.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
export const lateEndpoint = app.endpoint("/late", { memoryMb: 603 }, async () => {
  setTimeout(() => {
    throw new Error("out of band");
  }, 1);
  await never;
});

export const logsError = app.function(() => {
  console.error(new RangeError("logged, not thrown"));
  return null;
});
export const throwsInEndpoint = app.endpoint("/throws", { memoryMb: 604 }, () => {
  throw new RangeError("thrown in an endpoint");
});

export const look = app.function({ env: { DECLARED: "yes" } }, (name: string) => {
  const cwd = process.cwd();
  const before = readdirSync(cwd);
  mkdirSync("own", { recursive: true });
  writeFileSync(`own/${name}`, name);
  return { cwd, mode: statSync(cwd).mode & 0o777, before, env: { ...process.env } };
});
export const lookElsewhere = app.function((name: string) => {
  const cwd = process.cwd();
  const before = readdirSync(cwd);
  writeFileSync(name, name);
  return { cwd, before, declared: process.env.DECLARED ?? null };
});

export const brief = app.endpoint("/brief", { methods: ["GET"], memoryMb: 605, keepWarmS: 0.2 }, () => process.pid);

/** A function that calls another one that fails: the failure is this one's own. */
export const callsFailing = app.endpoint("/calls-failing", { memoryMb: 606 }, async () => {
  await liar.remote();
  return "never";
});
