/**
 * Holds the imports between the folders of `src` against the arrows that ARCHITECTURE.md draws, and lets the folders of `src/server` import each
 * other one way only. Type imports count: a type that crosses the wrong way is knowledge that does.
 */
import { glob, readFile } from "node:fs/promises";
import path from "node:path";
import ts from "typescript";

interface Part {
  /** A folder or file of `src`. Of two that hold a file, the longer name counts. */
  part: string;
  /** The parts it may import besides itself. */
  mayImport: string[];
  /** Where given, the only packages it may import; `node:` stands for all of Node's own modules. */
  packages?: string[];
}

/** The commands that work on a data folder themselves. */
const SERVER_COMMANDS = ["cli/commands/up.ts", "cli/commands/backup.ts", "cli/commands/restore.ts"];

const PARTS: Part[] = [
  { part: "protocol", mayImport: [], packages: ["node:"] },
  { part: "schema", mayImport: ["protocol"] },
  { part: "schedule", mayImport: ["protocol"], packages: ["croner"] },
  { part: "plan", mayImport: ["protocol", "schema"], packages: ["node:"] },
  { part: "sdk", mayImport: ["protocol", "sdk/client"] },
  { part: "sdk/client", mayImport: ["protocol", "sdk"], packages: ["eventsource-parser"] },
  { part: "index.ts", mayImport: ["protocol", "sdk", "sdk/client"] },
  { part: "build", mayImport: ["protocol", "schema", "schedule", "sdk"] },
  { part: "runtime", mayImport: ["protocol", "schema", "sdk"] },
  { part: "serve", mayImport: ["protocol", "schema", "sdk", "build", "runtime", "server"] },
  { part: "testing", mayImport: ["protocol", "schema", "sdk", "sdk/client", "runtime", "serve"] },
  { part: "engines", mayImport: ["protocol"] },
  { part: "server/store", mayImport: ["protocol"] },
  { part: "server", mayImport: ["protocol", "schema", "schedule", "engines", "server/store"] },
  {
    part: "cli",
    mayImport: ["protocol", "plan", "sdk", "sdk/client", "build", ...SERVER_COMMANDS, "cli/doctor.ts", "cli/dev"],
  },
  { part: "cli/dev", mayImport: ["protocol", "sdk", "sdk/client", "build", "server", "cli"] },
  { part: "cli/doctor.ts", mayImport: ["protocol", "sdk", "sdk/client", "server/store", "cli"] },
  ...SERVER_COMMANDS.map((part) => ({ part, mayImport: ["protocol", "sdk", "server", "cli"] })),
];

const SRC = path.join(path.dirname(import.meta.dirname), "src");
let checked = 0;
const faults: string[] = [];
/** Of the folders of `src/server`, each with those that it imports. */
const serverArrows = new Map<string, Set<string>>();

for await (const file of glob("**/*.ts", { cwd: SRC })) {
  if (file.endsWith(".test.ts")) continue;
  const from = partOf(file);
  if (!from) {
    faults.push(`src/${file}: in none of the parts that scripts/arrows.ts lists`);
    continue;
  }
  const text = await readFile(path.join(SRC, file), "utf8");
  for (const { fileName: specifier, pos } of ts.preProcessFile(text, true, true).importedFiles) {
    checked += 1;
    const fault = faultOf(from, file, specifier);
    noteServerArrow(file, path.posix.join(path.posix.dirname(file), specifier));
    if (fault) faults.push(`src/${file}:${text.slice(0, pos).split("\n").length}: ${fault}`);
  }
}

for (const folder of serverArrows.keys()) {
  const circle = circleFrom([folder]);
  if (circle?.every((other) => folder <= other))
    faults.push(`src/server: its folders import in a circle: ${[...circle, folder].join(" -> ")}`);
}
for (const fault of faults.toSorted()) console.log(fault);
if (checked === 0) console.log(`no import found under ${SRC}`);
process.exitCode = faults.length > 0 || checked === 0 ? 1 : 0;

function faultOf(from: Part, file: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) {
    const name = specifier.startsWith("node:")
      ? "node:"
      : specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    return !from.packages || from.packages.includes(name)
      ? null
      : `${from.part} must not import the package ${specifier}`;
  }
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (target.startsWith("../")) return target === "../package.json" ? null : `imports ${specifier}, outside src`;
  const to = partOf(target);
  if (to && (to === from || from.mayImport.includes(to.part))) return null;
  return `${from.part} must not import ${to?.part ?? target} (${specifier}); it may import ${from.mayImport.join(", ") || "nothing of ours"}`;
}

function noteServerArrow(file: string, target: string): void {
  const [from, to] = [file, target].map((name) => /^server\/(\w+)\//.exec(name)?.[1]);
  if (from === undefined || to === undefined || from === to) return;
  serverArrows.set(from, (serverArrows.get(from) ?? new Set()).add(to));
}

/** The way that leads back to where it began; null: none does. */
function circleFrom(way: string[], seen = new Set<string>()): string[] | null {
  for (const next of serverArrows.get(way.at(-1) ?? "") ?? []) {
    if (next === way[0]) return way;
    if (seen.has(next)) continue;
    const circle = circleFrom([...way, next], seen.add(next));
    if (circle) return circle;
  }
  return null;
}

function partOf(file: string): Part | undefined {
  return PARTS.filter(({ part }) => file === part || file.startsWith(`${part}/`)).toSorted(
    (a, b) => b.part.length - a.part.length,
  )[0];
}
