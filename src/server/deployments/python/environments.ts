/**
 * Virtual environments of Python apps, one for each set of requirements, Python and platform, in `<root>/<hash>`. A deployment links to those of its
 * functions as `<deployment>/python/<function>`.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { SERVER_DEFAULTS } from "../../../protocol/defaults.ts";
import type { AppSpec, FunctionSpec, PythonSpec } from "../../../protocol/spec.ts";
import type { Log } from "../../log.ts";
import { PYTHON_DIR } from "../../replicas/deployment-folder.ts";
import { Installations } from "../installations.ts";
import { withServer } from "./requirements.ts";
import { type Python, Uv } from "./uv.ts";

/** In the environments' own: what uv keeps between runs. Packages are linked from there where the file system can. */
const HOME_DIR = "uv";
/** In each environment: what it was made of, for people. */
const REQUIREMENTS_FILE = "requirements.txt";

export class PythonEnvironments {
  readonly #root: string;
  readonly #installations: Installations;
  readonly #log: Log;
  readonly #env: NodeJS.ProcessEnv;
  /** Found before, by what was wanted: starting uv for it takes longer than all else of a deploy that installs nothing. */
  readonly #pythons = new Map<string | null, Python>();
  #stopped = new AbortController();

  constructor(p: { root: string; log: Log; env: NodeJS.ProcessEnv }) {
    this.#root = p.root;
    this.#installations = new Installations(p.root);
    this.#log = p.log;
    this.#env = p.env;
  }

  async start(): Promise<void> {
    this.#stopped = new AbortController();
    await this.#installations.start();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#installations.stop();
  }

  /**
   * The environments of the app's functions, by where their links go in the deployment's folder.
   * Throws uv_not_found, python_not_found, dependency_install_failed with uv's last lines, storage_full.
   */
  async install(spec: AppSpec): Promise<Map<string, string>> {
    const links = new Map<string, string>();
    for (const fn of spec.functions) {
      const python = fn.service?.python;
      if (python) links.set(join(PYTHON_DIR, fn.name), await this.#environment(fn, python));
    }
    return links;
  }

  /**
   * Moves aside what none of these deployments links to, and with it what uv keeps for it, and returns where to; the caller deletes it.
   * Call while nothing is being deployed.
   */
  takeUnused(deployments: string[]): string[] {
    const taken = this.#installations.takeUnused(new Set(deployments.flatMap(environmentsOf)));
    const hasHome = readdirSync(this.#root).includes(HOME_DIR);
    return taken.length > 0 && hasHome ? [...taken, this.#installations.takeAside(HOME_DIR)] : taken;
  }

  async #environment(fn: FunctionSpec, { requirements, pythonVersion }: PythonSpec): Promise<string> {
    const home = join(this.#root, HOME_DIR);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const at = { env: this.#env, home, cwd: this.#root };
    const python = await this.#findPython(new Uv({ ...at, signal: this.#stopped.signal }), pythonVersion);
    const lines = withServer(fn.kind, requirements);
    return this.#installations.make(hashOf(lines, python), async (dir, signal) => {
      const startedAt = performance.now();
      await makeEnvironment({ uv: new Uv({ ...at, signal }), python, lines, dir });
      const seconds = Math.round(performance.now() - startedAt) / 1000;
      this.#log.info({ python: python.version, requirements: lines, seconds }, "Python environment made");
    });
  }

  async #findPython(uv: Uv, wanted: string | null): Promise<Python> {
    const known = this.#pythons.get(wanted);
    if (known !== undefined && existsSync(known.path)) return known;
    const python = await uv.findPython(wanted);
    this.#pythons.set(wanted, python);
    return python;
  }
}

/** The one place that says how an environment is made; it works from wherever its folder is moved to. */
async function makeEnvironment(p: { uv: Uv; python: Python; lines: string[]; dir: string }): Promise<void> {
  const { uv, dir } = p;
  const requirements = join(dir, REQUIREMENTS_FILE);
  const timeoutMs = SERVER_DEFAULTS.dependencyInstallMs;
  await uv.run(
    ["venv", "--quiet", "--no-project", "--relocatable", "--allow-existing", "--python", p.python.path, dir],
    timeoutMs,
  );
  await writeFile(requirements, `${p.lines.join("\n")}\n`);
  // Compiled here, so that no cold start has to.
  const install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", join(dir, "bin", "python")];
  await uv.run([...install, "--requirements", requirements], timeoutMs);
}

function hashOf(lines: string[], python: Python): string {
  const platform = [process.platform, process.arch];
  return createHash("sha256")
    .update(JSON.stringify([lines, python.path, python.version, platform]))
    .digest("hex");
}

/** The hashes in a deployment's links. */
function environmentsOf(deployment: string): string[] {
  const dir = join(deployment, PYTHON_DIR);
  try {
    return readdirSync(dir).map((name) => basename(readlinkSync(join(dir, name))));
  } catch {
    return [];
  }
}
