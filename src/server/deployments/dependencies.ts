/** Packages that a bundle leaves out, installed once per set of packages, lock file and platform in `<root>/<hash>/node_modules`. */
import { createHash } from "node:crypto";
import { readlinkSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { DependencySet } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import { Installations } from "./installations.ts";
import { findNpm, npmEnvironment } from "./npm.ts";
import { runTool } from "./tool.ts";

export class Dependencies {
  readonly #installations: Installations;
  readonly #log: Log;
  readonly #env: NodeJS.ProcessEnv;

  constructor(p: { root: string; log: Log; env: NodeJS.ProcessEnv }) {
    this.#installations = new Installations(p.root);
    this.#log = p.log;
    this.#env = p.env;
  }

  async start(): Promise<void> {
    await this.#installations.start();
  }

  async stop(): Promise<void> {
    await this.#installations.stop();
  }

  /** The folder of the installed packages; null where there are none. Throws dependency_install_failed with npm's last lines, storage_full. */
  async install(set: DependencySet | null): Promise<string | null> {
    if (set === null || Object.keys(set.packages).length === 0) return null;
    const dir = await this.#installations.make(hashOf(set), (temporary, signal) => this.#fill(set, temporary, signal));
    return join(dir, "node_modules");
  }

  /** Moves aside what none of these deployments links to, and returns where to; the caller deletes it. Call while nothing is being deployed. */
  takeUnused(deployments: string[]): string[] {
    return this.#installations.takeUnused(new Set(deployments.map(installationOf)));
  }

  async #fill(set: DependencySet, dir: string, signal: AbortSignal): Promise<void> {
    const npm = findNpm(this.#env);
    if (npm === null)
      throw new AthanorError("dependency_install_failed", "npm was not found on the server's PATH", {
        hint: "Install npm on the server, or bundle the packages.",
      });
    const startedAt = performance.now();
    await writeFile(join(dir, "package.json"), packageJson(set));
    if (set.lockfile !== null) await writeFile(join(dir, "package-lock.json"), set.lockfile);
    const command = set.lockfile === null ? ["install", "--no-package-lock"] : ["ci"];
    const result = await runTool({
      name: "npm",
      file: process.execPath,
      args: [npm, ...command, "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"],
      cwd: dir,
      timeoutMs: SERVER_DEFAULTS.dependencyInstallMs,
      signal,
      env: npmEnvironment(this.#env),
    });
    if (!result.ok) throw failure(set, result);
    // npm makes no folder where nothing is to be installed on this platform.
    await mkdir(join(dir, "node_modules"), { recursive: true });
    this.#log.info(
      { packages: set.packages, seconds: Math.round(performance.now() - startedAt) / 1000 },
      "dependencies installed",
    );
  }
}

/** The hash in a deployment's link to its packages; null where it has none. */
function installationOf(deployment: string): string | null {
  try {
    return basename(dirname(readlinkSync(join(deployment, "node_modules"))));
  } catch {
    return null;
  }
}

function failure(set: DependencySet, result: { reason: string; lastLines: string }): AthanorError {
  if (/\bENOSPC\b|no space left/i.test(result.lastLines))
    return new AthanorError("storage_full", `the dependencies could not be installed: ${result.lastLines}`);
  const packages = Object.entries(set.packages).map(([name, version]) => `${name}@${version}`);
  return new AthanorError(
    "dependency_install_failed",
    `${packages.join(", ")}: ${result.reason}\n${result.lastLines}`.trim(),
  );
}

function packageJson(set: DependencySet): string {
  // npm ci wants the manifest to say what the lock file's root says.
  const root = set.lockfile === null ? undefined : rootOf(set.lockfile);
  return JSON.stringify(
    {
      name: "dependencies",
      version: "0.0.0",
      private: true,
      ...root,
      dependencies: root?.dependencies ?? set.packages,
    },
    null,
    2,
  );
}

interface LockRoot {
  name?: string;
  version?: string;
  dependencies?: { [name: string]: string };
}

function rootOf(lockfile: string): LockRoot | undefined {
  try {
    const { packages } = JSON.parse(lockfile) as { packages?: { [path: string]: LockRoot } };
    const root = packages?.[""];
    return root === undefined ? undefined : { ...root };
  } catch {
    throw new AthanorError("deployment_invalid", "dependencies.lockfile is not JSON");
  }
}

function hashOf(set: DependencySet): string {
  const packages = Object.entries(set.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  const platform = [process.platform, process.arch, process.versions.modules];
  return createHash("sha256")
    .update(JSON.stringify([packages, set.lockfile, platform]))
    .digest("hex");
}
