import { execFile } from "node:child_process";
import { access, constants, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { PYTHON_DEFAULTS } from "../protocol/defaults.ts";
import { AthanorError } from "../protocol/errors.ts";
import type { Api } from "../sdk/client/api.ts";
import { dataFolder } from "../sdk/connection.ts";

/** One thing that was looked at. */
export interface Finding {
  name: string;
  ok: boolean;
  /** What was found. */
  detail: string;
  /** What to do where it is wrong. */
  hint: string | null;
}

interface Patient {
  data?: string | undefined;
  /** Of a database: what a server that is told so would use. */
  store?: string | undefined;
  api(): Promise<Api>;
}

const MIN_NODE_MAJOR = 24;
const MIN_FREE_BYTES = 512 * 1024 * 1024;
const TOOL_TIMEOUT_MS = 15_000;

export async function examine(patient: Patient): Promise<Finding[]> {
  const folder = dataFolder(patient.data);
  return Promise.all([
    checkNode(),
    checkNpm(),
    checkUv(),
    checkPython(),
    checkFolder(folder),
    checkToken(folder),
    checkDisk(folder),
    checkServer(patient),
    checkStore(patient),
    ...(patient.store === undefined ? [] : [checkDatabase(patient.store)]),
  ]);
}

function found(name: string, ok: boolean, detail: string, hint: string | null = null): Finding {
  return { name, ok, detail, hint };
}

function checkNode(): Finding {
  const major = Number(process.versions.node.split(".")[0]);
  return found(
    "node",
    major >= MIN_NODE_MAJOR,
    process.versions.node,
    `Athanor needs Node ${MIN_NODE_MAJOR} or newer: https://nodejs.org`,
  );
}

/** The server installs with it the packages that a bundle leaves out. */
async function checkNpm(): Promise<Finding> {
  const hint = "Install npm, which comes with Node; deployments with native packages need it.";
  try {
    const { stdout } = await promisify(execFile)("npm", ["--version"], { timeout: TOOL_TIMEOUT_MS });
    return found("npm", true, stdout.trim());
  } catch (error) {
    return found("npm", false, `npm --version failed: ${firstLine(error)}`, hint);
  }
}

/** Only apps in Python need it, so that its absence is no fault. */
async function checkUv(): Promise<Finding> {
  const version = await firstWords(UV, ["--version"]);
  return found("uv", true, version ?? "not found; apps in Python need it: pip install uv");
}

async function checkPython(): Promise<Finding> {
  const request = `>=${PYTHON_DEFAULTS.minVersion}`;
  const find = ["python", "find", "--system", "--no-project", "--no-python-downloads"];
  const path = await firstWords(UV, [...find, request]);
  const version = path === null ? null : await firstWords(UV, [...find, "--show-version", path]);
  const none = `uv finds no Python ${request}; apps in Python need one`;
  return found("python", true, version === null ? none : `${version}, ${path}`);
}

const UV = process.env.ATHANOR_UV || "uv";

/** What the program prints; null where it is not there, or fails. */
async function firstWords(program: string, args: string[]): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: TOOL_TIMEOUT_MS });
    return stdout.trim();
  } catch {
    return null;
  }
}

async function checkFolder(folder: string): Promise<Finding> {
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return found("data folder", true, folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return found("data folder", true, `${folder} is not there yet; the first \`athanor up\` makes it`);
    return found(
      "data folder",
      false,
      `${folder} cannot be used: ${firstLine(error)}`,
      "Make it yours, or give another with --data.",
    );
  }
}

async function checkToken(folder: string): Promise<Finding> {
  const file = join(folder, "token");
  try {
    const mode = (await stat(file)).mode & 0o777;
    const isPrivate = (mode & 0o077) === 0;
    return found(
      "token",
      isPrivate,
      `${file} has mode ${mode.toString(8).padStart(4, "0")}`,
      `Others can read it: chmod 600 ${file}`,
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      return found("token", true, "none yet; the first `athanor up` writes one");
    return found(
      "token",
      false,
      `${file} cannot be read: ${firstLine(error)}`,
      "Give it to the user that runs athanor.",
    );
  }
}

async function checkDisk(folder: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(await existingFolder(folder));
    const free = bavail * bsize;
    return found(
      "disk",
      free >= MIN_FREE_BYTES,
      `${(free / 1024 ** 3).toFixed(1)} GiB free`,
      "Free space on the disk that holds the data folder.",
    );
  } catch (error) {
    return found("disk", false, `free space is not known: ${firstLine(error)}`, null);
  }
}

/** The folder, or the nearest above it that is there. */
async function existingFolder(folder: string): Promise<string> {
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  return isThere || dirname(folder) === folder ? folder : existingFolder(dirname(folder));
}

async function checkServer({ api: connect }: Patient): Promise<Finding> {
  try {
    const api = await connect();
    const server = await api.getServer();
    return found("server", true, `${api.url}, version ${server.version}, data in ${server.data_dir}`);
  } catch (error) {
    return found("server", false, firstLine(error), error instanceof AthanorError ? error.hint : null);
  }
}

async function checkStore({ api: connect }: Patient): Promise<Finding> {
  try {
    const api = await connect();
    const store = await api.getStore();
    const { problems } = await api.checkServer();
    const what = store.kind === "sqlite" ? "SQLite" : "PostgreSQL";
    const servers =
      store.servers > 1 ? `, ${store.servers} servers${store.leads ? ", of which this one leads" : ""}` : "";
    const where = `${what} ${store.version}, ${store.place}, read in ${store.latency_ms} ms${servers}`;
    return found(
      "store",
      problems.length === 0,
      `${where}: ${problems.length === 0 ? "nothing wrong" : problems.join("; ")}`,
      "Keep a copy of the data and report it; `athanor restore` brings a backup back.",
    );
  } catch (error) {
    return found("store", false, `not looked at: ${firstLine(error)}`, null);
  }
}

/** From here, without a server: so it tells why one does not start. */
async function checkDatabase(url: string): Promise<Finding> {
  try {
    const { inspectPostgres } = await import("../server/store/postgres/inspect.ts");
    const { place, version, latencyMs, problems } = await inspectPostgres(url);
    return found(
      "database",
      problems.length === 0,
      `PostgreSQL ${version}, ${place}, answers in ${latencyMs} ms${problems.length === 0 ? "" : `: ${problems.join("; ")}`}`,
      "See docs/stores.md for what a database must be and allow.",
    );
  } catch (error) {
    return found("database", false, firstLine(error), error instanceof AthanorError ? error.hint : null);
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
