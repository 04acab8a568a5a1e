/** What the gate runs, in this order: what fails fastest comes first. */

interface Named {
  name: string;
  /** Where to look when it fails. */
  hint: string;
}

/** A program, skipped where the path that it needs is missing; or test files run by `node --test`, where finding none is a failure. */
export type Step = Named & ({ command: string[]; needs?: string } | { tests: string[]; concurrency?: number });

export const STEPS: Step[] = [
  {
    name: "types",
    command: ["tsc", "--noEmit", "--pretty", "false", "-p", "."],
    hint: "types do not fit; test/types holds what must and must not compile",
  },
  {
    name: "types of the examples",
    command: ["tsc", "--noEmit", "--pretty", "false", "-p", "examples"],
    hint: "an example no longer compiles",
  },
  {
    name: "types of the benchmarks",
    command: ["tsc", "--noEmit", "--pretty", "false", "-p", "bench"],
    needs: "bench/node_modules",
    hint: "a benchmark no longer compiles",
  },
  {
    name: "lint and format",
    command: ["biome", "ci", "--colors=off", "--error-on-warnings", "--max-diagnostics=10", "."],
    hint: "`npm run fix` corrects most of it",
  },
  {
    name: "import arrows",
    command: ["node", "scripts/arrows.ts"],
    hint: "the table of who may import whom is in scripts/arrows.ts",
  },
  {
    name: "dead code",
    command: ["knip", "--no-progress", "--no-config-hints"],
    hint: "remove the unused file, export or dependency",
  },
  { name: "unit", tests: ["src/**/*.test.ts", "scripts/**/*.test.ts"], hint: "run one with `node --test FILE`" },
  {
    name: "types as schema, and the build",
    tests: ["test/schema/**/*.test.ts", "test/build/**/*.test.ts"],
    hint: "a schema or a bundle changed; if it should, see test/schema",
  },
  {
    name: "store conformance and schema dump",
    tests: ["test/store/event*.test.ts", "test/store/sqlite*.test.ts"],
    hint: "see test/store",
  },
  {
    name: "PostgreSQL store",
    tests: ["test/store/postgres*.test.ts"],
    hint: "see test/store; it needs PostgreSQL's server (Debian package postgresql), else its tests are skipped",
  },
  {
    name: "engine conformance, and replicas",
    tests: ["test/engine/**/*.test.ts", "test/runtime/**/*.test.ts"],
    hint: "see test/engine and test/runtime",
  },
  {
    name: "end to end",
    tests: ["test/e2e/**/*.test.ts", "test/serve/**/*.test.ts"],
    hint: "see test/e2e and test/serve",
  },
  { name: "package", tests: ["test/pack/**/*.test.ts"], hint: "the packed tarball does not work for who installs it" },
  {
    name: "documents and examples",
    tests: ["test/docs/**/*.test.ts"],
    hint: "a snippet or an example no longer does what is said",
  },
  {
    name: "faults",
    tests: ["test/faults/**/*.test.ts"],
    concurrency: 1,
    hint: "the message has the seed; `npm run faults -- --seed N` tries longer",
  },
  {
    name: "fuzz",
    tests: ["test/fuzz/**/*.test.ts"],
    concurrency: 1,
    hint: "see test/fuzz; the seed is in the message",
  },
];
