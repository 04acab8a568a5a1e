/** uv, which resolves and installs Python packages, and the Python that it finds on this machine. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PYTHON_DEFAULTS } from "../../../protocol/defaults.ts";
import { AthanorError } from "../../../protocol/errors.ts";
import { runTool, type ToolResult } from "../tool.ts";

/** What uv, and the builds of packages that it starts, may see of the server's environment: how to reach and trust an index, and how to compile. */
const PASSED = new Set(
  ["PATH", "TMPDIR", "TMP", "TEMP", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "NETRC"].concat(
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT"],
    ["CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "PKG_CONFIG_PATH", "CARGO_HOME", "RUSTUP_HOME"],
  ),
);

export class Uv {
  readonly #file: string;
  readonly #env: Record<string, string>;
  readonly #cwd: string;
  readonly #signal: AbortSignal;

  /** `home` is for what uv and builds keep between runs. Throws uv_not_found. */
  constructor(p: { env: NodeJS.ProcessEnv; home: string; cwd: string; signal: AbortSignal }) {
    const file = findUv(p.env);
    if (file === null) {
      const given = p.env.ATHANOR_UV;
      throw new AthanorError(
        "uv_not_found",
        given
          ? `ATHANOR_UV is ${given}, where no program is`
          : "the app is in Python, and uv was not found on the server's PATH",
      );
    }
    this.#file = file;
    this.#env = uvEnvironment(p.env, p.home);
    this.#cwd = p.cwd;
    this.#signal = p.signal;
  }

  /** Throws dependency_install_failed with uv's last lines, storage_full. */
  async run(args: string[], timeoutMs: number): Promise<void> {
    const result = await this.#run(args, timeoutMs);
    if (result.ok) return;
    const lastLines = withoutCredentials(result.lastLines);
    if (/No space left|\bENOSPC\b/i.test(lastLines))
      throw new AthanorError("storage_full", `the Python environment could not be made: ${lastLines}`);
    throw new AthanorError("dependency_install_failed", `Python requirements: ${result.reason}\n${lastLines}`.trim(), {
      hint: "Check that the requirements install with `uv pip install -r requirements.txt`, with the server's Python and its index.",
    });
  }

  /** A Python of this machine that fits; none is ever downloaded. Throws python_not_found. */
  async findPython(wanted: string | null): Promise<Python> {
    const request = wanted ?? `>=${PYTHON_DEFAULTS.minVersion}`;
    const find = ["python", "find", "--system", "--no-project"];
    const found = await this.#run([...find, request], PYTHON_DEFAULTS.findMs);
    const path = found.stdout.trim();
    const version = found.ok
      ? (await this.#run([...find, "--show-version", path], PYTHON_DEFAULTS.findMs)).stdout.trim()
      : "";
    if (!found.ok || version === "")
      throw new AthanorError(
        "python_not_found",
        `the app needs Python ${request}, and the server has none: ${found.lastLines}`,
      );
    if (isOlder(version, PYTHON_DEFAULTS.minVersion)) {
      const least = PYTHON_DEFAULTS.minVersion;
      throw new AthanorError(
        "python_not_found",
        `the app asks for Python ${request}, found as ${version}; it must be ${least} or newer`,
      );
    }
    return { path, version };
  }

  #run(args: string[], timeoutMs: number): Promise<ToolResult> {
    return runTool({
      name: "uv",
      file: this.#file,
      args,
      cwd: this.#cwd,
      timeoutMs,
      signal: this.#signal,
      env: this.#env,
    });
  }
}

export interface Python {
  path: string;
  /** `3.12.4` */
  version: string;
}

/** The program that ATHANOR_UV names, else the first `uv` on PATH; null where there is none. */
export function findUv(env: NodeJS.ProcessEnv): string | null {
  const given = env.ATHANOR_UV;
  const dirs = (env.PATH ?? "").split(delimiter).filter((dir) => dir !== "");
  const candidates = given ? [given] : dirs.map((dir) => join(dir, "uv"));
  return candidates.find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Only what is on the list, and uv's own settings; nothing else of the server's. */
export function uvEnvironment(env: NodeJS.ProcessEnv, home: string): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (PASSED.has(name.toUpperCase()) || name.startsWith("UV_"))) passed[name] = value;
  }
  // uv does not read pip's settings, and these two mean the same to both.
  if (env.PIP_INDEX_URL && !env.UV_INDEX_URL) passed.UV_DEFAULT_INDEX ??= env.PIP_INDEX_URL;
  if (env.PIP_EXTRA_INDEX_URL && !env.UV_EXTRA_INDEX_URL) passed.UV_INDEX ??= env.PIP_EXTRA_INDEX_URL;
  return {
    UV_CACHE_DIR: join(home, "cache"),
    ...passed,
    HOME: home,
    UV_PYTHON_DOWNLOADS: "never",
    UV_NO_PROGRESS: "1",
    NO_COLOR: "1",
  };
}

/** A URL in what uv says may hold the password of a private index. */
export function withoutCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/\s@]+@/g, "$1***@");
}

function isOlder(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split(".").map(Number);
  return major !== leastMajor ? major < leastMajor : minor < leastMinor;
}
