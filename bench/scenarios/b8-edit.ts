import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { alternate } from "../alternate.ts";
import { type Contestant, Unavailable } from "../contestant.ts";
import { athanorProgram } from "../peers/athanor.ts";
import { temporaryProject } from "../peers/project.ts";
import { end, freePort, startUntil } from "../peers/temporary.ts";
import { table } from "../report.ts";

export const title = "B8 edit → live answer: a saved change until the first request that sees it";

const ENTRY = "app.ts";
const modules = resolve(import.meta.dirname, "../node_modules");
/** Between edits, so that no tool meets the next one while it is at work on the last. */
const REST_MS = 700;
const ASK_EVERY_MS = 5;

const WRANGLER = {
  name: "edited",
  main: ENTRY,
  compatibility_date: "2026-11-01",
  compatibility_flags: ["nodejs_compat"],
};

/** What the peers need; the others are there to be imported. */
const OWN = new Set(
  "bullmq express fastify graphile-worker hono ioredis pg pg-boss workerd wrangler ws zod".split(" "),
);

/** An app's entry file, and what the wanted version answers. */
interface Project {
  source(version: number): Promise<string>;
}

const athanorSource = (imports: string, answer: string): string =>
  `import { App } from "athanor";\n${imports}\nconst app = new App("edited");\nexport const show = app.endpoint("/show", { methods: ["GET"] }, () => (${answer}));\n`;
const wranglerSource = (imports: string, answer: string): string =>
  `${imports}\nexport default { fetch: () => Response.json(${answer}) };\n`;
type Source = typeof athanorSource;

function hello(source: Source): Project {
  return { source: async (version) => source("", `{ version: ${version} }`) };
}

/** Imports the whole of 50 packages, so that nothing of them is shaken off. */
function fifty(source: Source): Project {
  return {
    async source(version) {
      const { dependencies } = JSON.parse(await readFile(join(modules, "../package.json"), "utf8"));
      const names = Object.keys(dependencies)
        .filter((name) => !name.startsWith("@") && !OWN.has(name))
        .slice(0, 50);
      assert.equal(names.length, 50);
      const imports = names.map((name, index) => `import * as m${index} from ${JSON.stringify(name)};`).join("\n");
      const counted = names.map((_, index) => `Object.keys(m${index}).length`).join(" + ");
      return source(imports, `{ version: ${version}, modules: (${counted}) > 50 }`);
    },
  };
}

const athanor = (project: Project): Contestant =>
  dev("Athanor", "athanor dev: types to schemas, a new deployment, a new replica", project, "/edited/show", (port) => [
    athanorProgram,
    ["dev", ENTRY, "--port", String(port)],
  ]);

const wrangler = (project: Project): Contestant =>
  dev("wrangler dev 4.164", "bundles, and starts the isolate anew", project, "/", (port) => [
    join(modules, "wrangler/bin/wrangler.js"),
    ["dev", "--port", String(port), "--ip", "127.0.0.1", "--show-interactive-dev-session=false"],
  ]);

function dev(
  name: string,
  note: string,
  project: Project,
  path: string,
  command: (port: number) => [string, string[]],
): Contestant {
  return {
    name,
    note,
    async start() {
      await using undo = new AsyncDisposableStack();
      const { path: folder } = undo.use(await temporaryProject());
      await writeFile(join(folder, "wrangler.json"), JSON.stringify(WRANGLER));
      const entry = join(folder, ENTRY);
      let version = 0;
      await writeFile(entry, await project.source(version));
      const port = await freePort();
      const [program, args] = command(port);
      const { child } = await startUntil(process.execPath, [program, ...args], {
        pattern: new RegExp(`127\\.0\\.0\\.1:${port}`),
        cwd: folder,
        env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" },
      });
      undo.defer(() => end(child, "SIGINT"));
      const url = `http://127.0.0.1:${port}${path}`;
      await untilVersion(url, 0);
      const owned = undo.move();
      return {
        async once() {
          await sleep(REST_MS);
          const source = await project.source(++version);
          const start = performance.now();
          await writeFile(entry, source);
          const answer = await untilVersion(url, version);
          return { answer: answer.version === version, ms: performance.now() - start };
        },
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
  };
}

async function untilVersion(url: string, version: number): Promise<{ version: number }> {
  const deadline = performance.now() + 60_000;
  let last = "nothing";
  for (;;) {
    try {
      const response = await fetch(url);
      last = await response.text();
      if (response.ok) {
        const answer = JSON.parse(last) as { version: number };
        if (answer.version === version) return answer;
      }
    } catch (error) {
      last = String(error);
    }
    if (performance.now() > deadline) throw new Unavailable(`version ${version} never came; the last answer: ${last}`);
    await sleep(ASK_EVERY_MS);
  }
}

const PROJECTS = [
  { name: "hello", contestants: [athanor(hello(athanorSource)), wrangler(hello(wranglerSource))] },
  { name: "50 dependencies", contestants: [athanor(fifty(athanorSource)), wrangler(fifty(wranglerSource))] },
];

export async function run({ rounds }: { rounds: number }): Promise<string> {
  const parts: string[] = [];
  for (const { name, contestants } of PROJECTS) {
    const check = (_n: number, answer: unknown): void => assert.equal(answer, true);
    const { rows, missing } = await alternate({ contestants, rounds, warmUp: 2, samples: 8, check });
    parts.push(`### ${name}\n`, table(rows, "ms"), ...missing.map((line) => `\nLeft out: ${line}`), "");
  }
  return parts.join("\n");
}
