import { access, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { AthanorError } from "../protocol/errors.ts";

const APP = `import { App, type JobProgress } from "athanor";

// The app's name is the first part of its URLs.
const app = new App("demo");

/** Greets someone. The types are the schema: GET /demo/hello?name=Ada */
export const hello = app.endpoint("/hello", { methods: ["GET"] }, (name = "world") => ({
  message: \`Hello, \${name}!\`,
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

function projectPackage(): object {
  return {
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
}

/**
 * Writes the files of a new project, all or none. Returns the folder and the names.
 * @throws AthanorError `usage` where one of them is there already.
 */
export async function writeTemplate(given: string): Promise<{ dir: string; files: string[] }> {
  const dir = resolve(given);
  const files = {
    "app.ts": APP,
    "package.json": jsonText(projectPackage()),
    "tsconfig.json": jsonText(TSCONFIG),
    "athanor.json": jsonText(ATHANOR),
  };
  const names = Object.keys(files);
  await mkdir(dir, { recursive: true });
  const taken = (await Promise.all(names.map((name) => exists(join(dir, name))))).flatMap((is, index) =>
    is ? [names[index]] : [],
  );
  if (taken.length > 0) {
    throw new AthanorError("usage", `${dir} already has ${taken.join(", ")}, and nothing is overwritten`, {
      hint: "Choose an empty folder: athanor init DIR",
    });
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text, { flag: "wx" });
  return { dir, files: names };
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
