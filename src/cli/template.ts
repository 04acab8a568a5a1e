import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { AthanorError } from "../protocol/errors.ts";

const APP = `import { App, type JobProgress } from "athanor";

// The app's name is the first part of its URLs.
const app = new App("demo");

/** Greets someone. The types are the schema: GET /demo/greet?name=Ada, or POST with {"name": "Ada"} */
export const greet = app.endpoint("/greet", { methods: ["GET", "POST"] }, (name: string, times = 1) => ({
  message: \`Hello, \${name}!\`.repeat(times),
}));

/** Queued: POST /demo/count answers 202 with a job, whose events show its progress. */
export const count = app.endpoint("/count", { queue: { size: 50 } }, async (progress: JobProgress, to: number) => {
  for (let i = 1; i <= to; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    progress.setStatus(i / to, \`\${i} of \${to}\`);
  }
  return { counted: to };
});

/** No URL: called from code, or with \`athanor run shout --app-name demo --payload '{"args":["hello"]}'\` */
export const shout = app.function({ retries: 3, timeoutS: 60 }, async (text: string) => text.toUpperCase());

// A whole web app is one line: app.fetch(() => honoApp), app.node(() => expressApp), app.webServer(8000, { command: ["./bin/server"] })
`;

const TSCONFIG = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ["node"],
  },
  include: ["*.ts"],
};

const ATHANOR = { queue: { maxWorkers: 1, size: 500, ttlS: 3600 } };

const PACKAGE: Manifest = {
  name: "demo",
  private: true,
  type: "module",
  scripts: { up: "athanor up", deploy: "athanor deploy app.ts", types: "tsc" },
  dependencies: { athanor: `^${packageJson.version}` },
  devDependencies: {
    "@types/node": `^${packageJson.devDependencies["@types/node"]}`,
    typescript: packageJson.dependencies.typescript,
  },
  engines: { node: ">=24" },
};

type Manifest = Record<string, unknown>;

/**
 * Writes the files of a new project, all or none. Returns the folder and the names. A package.json that is there already, as
 * `npm i athanor` leaves one, keeps all it says and gets what it lacks.
 * @throws AthanorError `usage` where another of them is there already, or the package.json is no JSON object.
 */
export async function writeTemplate(given: string): Promise<{ dir: string; files: string[] }> {
  const dir = resolve(given);
  const manifest = join(dir, "package.json");
  const files = { "app.ts": APP, "tsconfig.json": jsonText(TSCONFIG), "athanor.json": jsonText(ATHANOR) };
  const names = Object.keys(files);
  await mkdir(dir, { recursive: true });
  const taken = (await Promise.all(names.map((name) => exists(join(dir, name))))).flatMap((is, index) =>
    is ? [names[index]] : [],
  );
  if (taken.length > 0) {
    throw new AthanorError("usage", `${dir} already has ${taken.join(", ")}, and nothing is overwritten`, {
      hint: "Choose a folder without them: athanor init DIR",
    });
  }
  const manifestText = (await exists(manifest))
    ? completed(manifest, await readFile(manifest, "utf8"))
    : jsonText(PACKAGE);
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text, { flag: "wx" });
  await writeFile(manifest, manifestText);
  return { dir, files: [...names, "package.json"] };
}

function completed(file: string, text: string): string {
  const there = parsedManifest(file, text);
  const merged: Manifest = { ...PACKAGE, ...there };
  for (const [key, wanted] of Object.entries(PACKAGE)) {
    const had = there[key];
    if (isObject(wanted) && isObject(had)) merged[key] = { ...wanted, ...had };
  }
  return jsonText(merged);
}

function parsedManifest(file: string, text: string): Manifest {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return parsed;
  } catch {
    // Said below.
  }
  throw new AthanorError("usage", `${file} is not a JSON object`, {
    hint: "Mend it, or choose another folder: athanor init DIR",
  });
}

function isObject(value: unknown): value is Manifest {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
