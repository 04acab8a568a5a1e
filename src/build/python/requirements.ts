import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "smol-toml";
import { AthanorError } from "../../protocol/errors.ts";
import { requirementFault } from "../../protocol/python.ts";

export interface Requirements {
  /** Options first, in their order; then packages, sorted, each line once. */
  requirements: string[];
  /** What pyproject.toml requires. */
  pythonVersion: string | null;
}

interface Source {
  /** Absolute; where a file is looked for. */
  dir: string;
  entryDir: string;
  /** As options give them: `-r FILE`, and packages. */
  given: string[];
  /** Of the declaration, for messages. */
  place: string;
  /** Files that are read, or looked for, are added here. */
  read: string[];
}

const PYPROJECT = "pyproject.toml";
const BY_DEFAULT = ["requirements.txt", PYPROJECT];

/** Throws build_failed naming file and line. */
export function readRequirements(p: Source): Requirements {
  const named = p.given.find((line) => line.startsWith("-r "))?.slice(3);
  const packages = p.given.filter((line) => !line.startsWith("-r "));
  const candidates = (named === undefined ? BY_DEFAULT : [named]).map((name) => path.join(p.dir, name));
  const pyproject = path.join(p.dir, PYPROJECT);
  p.read.push(...candidates, pyproject);
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined && named !== undefined)
    throw new AthanorError(
      "build_failed",
      `${p.place}: there is no ${relative(p, candidates[0] ?? "")}, which \`requirements\` names`,
    );
  const project = existsSync(pyproject) ? readProject(pyproject, p) : null;
  const isProject = file !== undefined && path.extname(file) === ".toml";
  const own = isProject ? dependenciesOf(file === pyproject && project ? project : readProject(file, p), file, p) : [];
  const lines = [...own, ...(file === undefined || isProject ? [] : readLines(file, p, [])), ...packages];
  const options = lines.filter((line) => line.startsWith("-"));
  const sorted = lines.filter((line) => !line.startsWith("-")).toSorted();
  const pythonVersion = project?.["requires-python"];
  return {
    requirements: [...new Set([...options, ...sorted])],
    pythonVersion: typeof pythonVersion === "string" ? pythonVersion.trim() : null,
  };
}

interface Project {
  dependencies?: unknown;
  dynamic?: unknown;
  "requires-python"?: unknown;
}

function readProject(file: string, p: Source): Project {
  try {
    return (parse(readFileSync(file, "utf8")).project ?? {}) as Project;
  } catch (error) {
    throw new AthanorError("build_failed", `${relative(p, file)} cannot be read: ${(error as Error).message.trim()}`);
  }
}

function dependenciesOf({ dependencies = [], dynamic }: Project, file: string, p: Source): string[] {
  const at = relative(p, file);
  if (Array.isArray(dynamic) && dynamic.includes("dependencies"))
    throw new AthanorError(
      "build_failed",
      `${at}: its dependencies are dynamic, which only its own build tool can tell`,
      {
        hint: "Write them to a requirements.txt beside it.",
      },
    );
  if (!Array.isArray(dependencies) || !dependencies.every((line) => typeof line === "string"))
    throw new AthanorError("build_failed", `${at}: [project] dependencies must be a list of texts`);
  for (const line of dependencies) checkLine(line, `${at}: [project] dependencies`);
  return dependencies.map((line: string) => line.trim());
}

/** A requirements file with those that it includes (`-r`). */
function readLines(file: string, p: Source, including: string[]): string[] {
  const at = relative(p, file);
  if (including.includes(file)) throw new AthanorError("build_failed", `${at} includes itself`);
  if (path.relative(p.entryDir, file).startsWith(".."))
    throw new AthanorError("build_failed", `${at} is outside of the project, where requirements must be`);
  if (!existsSync(file))
    throw new AthanorError(
      "build_failed",
      `${relative(p, including.at(-1) ?? file)}: there is no ${at}, which it includes`,
    );
  if (!p.read.includes(file)) p.read.push(file);
  return logicalLines(readFileSync(file, "utf8")).flatMap(({ text, number }) => {
    const included = /^(?:-r|--requirement)(?:\s+|=)?(.+)$/.exec(text)?.[1];
    if (included !== undefined) return readLines(path.join(path.dirname(file), included), p, [...including, file]);
    const line = text.replace(/^(--(?:extra-)?index-url)=/, "$1 ").replace(/^-i\s+/, "--index-url ");
    checkLine(line, `${at}:${number}`);
    return [line];
  });
}

interface Line {
  text: string;
  number: number;
}

/** Without comments; lines that end with a backslash go on in the next. */
function logicalLines(text: string): Line[] {
  const lines: Line[] = [];
  let begun = "";
  let first = 0;
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    if (begun === "") first = index + 1;
    const goesOn = raw.endsWith("\\");
    begun += goesOn ? `${raw.slice(0, -1)} ` : raw.replace(/(?:^|\s)#.*$/, "");
    if (goesOn) continue;
    const whole = begun.trim().replace(/\s+/g, " ");
    if (whole !== "") lines.push({ text: whole, number: first });
    begun = "";
  }
  return lines;
}

function checkLine(line: string, at: string): void {
  const fault = requirementFault(line.trim());
  if (fault === null) return;
  throw new AthanorError("build_failed", `${at}: ${JSON.stringify(line)} cannot be installed on a server: ${fault}`, {
    hint: "The project's own modules ship with it and need no requirement; of a package that is elsewhere, give a name or an https URL.",
  });
}

function relative(p: Source, file: string): string {
  return path.relative(p.entryDir, file).split(path.sep).join("/");
}
