/** What the documents say is done: every block of code is run as its reader would, every link leads somewhere. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { noPython } from "../harness/python.ts";
import { ROOT, Stranger } from "../pack/stranger.ts";
import { type Snippet, snippetsOf } from "./snippets.ts";

const RUNNABLE = ["sh", "bash", "ts", "js", "python"];
const DOCUMENTS = globSync(["*.md", "docs/**/*.md", "examples/**/*.md", "bench/*.md"], {
  cwd: ROOT,
  exclude: ["**/node_modules/**"],
}).toSorted();

describe("links between the documents", () => {
  for (const document of DOCUMENTS) {
    test(document, () => {
      const text = readFileSync(path.join(ROOT, document), "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
      const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target.replace(/#.*/, ""));
      const broken = targets.filter(
        (target) =>
          target !== "" && !/^[a-z]+:/.test(target) && !existsSync(path.join(ROOT, path.dirname(document), target)),
      );
      assert.deepEqual(broken, []);
    });
  }
});

describe("code in the documents", () => {
  let installed: Stranger;
  before(async () => {
    installed = await Stranger.create();
    await installed.install();
  });
  after(() => installed[Symbol.asyncDispose]());

  for (const document of DOCUMENTS) {
    const snippets = snippetsOf(readFileSync(path.join(ROOT, document), "utf8"));
    const runnable = snippets.filter(({ language, notRun }) => RUNNABLE.includes(language) && notRun === null);
    if (runnable.length === 0) continue;
    const skip = runnable.some(({ language }) => language === "python") && noPython;
    test(`${document}: ${runnable.length} blocks`, { skip }, async () => {
      await using reader = await Stranger.create();
      await reader.copyProject(installed);
      await follow(document, runnable, reader);
      if (!runnable.some(({ language }) => language === "ts")) return;
      const { status, stdout, stderr } = await typeCheck(reader);
      assert.equal(status, 0, `${stdout}${stderr}`);
    });
  }
});

/** Does what the document says, block after block, in one project and with one server. */
async function follow(document: string, snippets: Snippet[], reader: Stranger): Promise<void> {
  let url = "http://127.0.0.1:7700";
  for (const { language, file, text, line, prints } of snippets) {
    const place = `${document}:${line}`;
    if (text.trim() === "npx athanor up") url = await reader.up();
    else if (["ts", "js", "python"].includes(language)) {
      if (file === null)
        throw new Error(`${place}: give the block the name of its file: \`\`\`${language} app.${language}`);
      await writeFile(path.join(reader.project, file), `${text}\n`);
      if (file.startsWith("caller")) await call(reader, file, url, place);
    } else {
      const script = text.replaceAll("http://127.0.0.1:7700", url);
      const { status, stdout, stderr } = await reader.run("bash", ["-euo", "pipefail", "-c", script]);
      assert.equal(status, 0, `${place}: ended with ${status}\n${stdout}${stderr}`);
      if (prints === null) continue;
      // What is shown is what the last command prints.
      const lines = stdout.trim().split("\n").slice(-prints.trim().split("\n").length);
      assert.equal(lines.join("\n"), prints.trim(), place);
    }
  }
}

/** Runs a program that calls the server. */
async function call(reader: Stranger, file: string, url: string, place: string): Promise<void> {
  reader.env.ATHANOR_URL = url;
  reader.env.ATHANOR_TOKEN = (await readFile(path.join(reader.data, "token"), "utf8")).trim();
  const { status, stdout, stderr } = await reader.run("node", [file]);
  assert.equal(status, 0, `${place}: ended with ${status}\n${stdout}${stderr}`);
  assert.match(stdout, /job\.end/, place);
}

async function typeCheck(reader: Stranger): ReturnType<Stranger["run"]> {
  const modules = {
    module: "nodenext",
    target: "es2024",
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
  };
  const types = {
    lib: ["es2024", "esnext.disposable"],
    types: ["node"],
    typeRoots: [path.join(ROOT, "node_modules/@types")],
  };
  const tsconfig = { compilerOptions: { ...modules, ...types, skipLibCheck: true }, include: ["*.ts"] };
  await writeFile(path.join(reader.project, "tsconfig.json"), JSON.stringify(tsconfig));
  return await reader.run("npx", ["tsc", "-p", "."]);
}
