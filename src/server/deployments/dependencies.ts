/**
 * Packages that a bundle leaves out, installed once per set of packages, lock file and platform in `<root>/<hash>/node_modules`.
 *
 *   absent --install()--> installing (shared by all who ask) --npm ends well--> installed (renamed into place)
 *                                                            --npm fails-->     absent (nothing is left)
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readlinkSync, renameSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { DependencySet } from "../../protocol/spec.ts";
import type { Log } from "../log.ts";
import { diskError, removeTemporaries, temporaryIn } from "./files.ts";
import { findNpm, runNpm } from "./npm.ts";

export class Dependencies {
  readonly #root: string;
  readonly #log: Log;
  readonly #env: NodeJS.ProcessEnv;
  readonly #installing = new Map<string, Promise<string>>();
  #stopped = new AbortController();

  constructor(p: { root: string; log: Log; env: NodeJS.ProcessEnv }) {
    this.#root = p.root;
    this.#log = p.log;
    this.#env = p.env;
  }

  async start(): Promise<void> {
    this.#stopped = new AbortController();
    await removeTemporaries(this.#root);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled(this.#installing.values());
  }

  /** The folder of the installed packages; null where there are none. Throws dependency_install_failed with npm's last lines, storage_full. */
  async install(set: DependencySet | null): Promise<string | null> {
    if (set === null || Object.keys(set.packages).length === 0) return null;
    const hash = hashOf(set);
    const nodeModules = join(this.#root, hash, "node_modules");
    if (existsSync(nodeModules)) return nodeModules;
    let installing = this.#installing.get(hash);
    if (!installing) {
      installing = this.#install(set, join(this.#root, hash)).finally(() => this.#installing.delete(hash));
      this.#installing.set(hash, installing);
    }
    await installing;
    return nodeModules;
  }

  /** Moves aside what none of these deployments links to, and returns where to; the caller deletes it. Call while nothing is being deployed. */
  takeUnused(deployments: string[]): string[] {
    const used = new Set(deployments.map(installationOf));
    const unused = readdirSync(this.#root).filter((hash) => /^[0-9a-f]{64}$/.test(hash) && !used.has(hash));
    return unused.map((hash) => {
      const temporary = temporaryIn(this.#root);
      renameSync(join(this.#root, hash), temporary);
      return temporary;
    });
  }

  async #install(set: DependencySet, dir: string): Promise<string> {
    const npm = findNpm(this.#env);
    if (npm === null)
      throw new AthanorError("dependency_install_failed", "npm was not found on the server's PATH", {
        hint: "Install npm on the server, or bundle the packages.",
      });
    const temporary = temporaryIn(this.#root);
    const startedAt = performance.now();
    try {
      await mkdir(temporary, { recursive: true, mode: 0o700 });
      await writeFile(join(temporary, "package.json"), packageJson(set));
      if (set.lockfile !== null) await writeFile(join(temporary, "package-lock.json"), set.lockfile);
      const result = await runNpm({
        npm,
        args: [
          ...(set.lockfile === null ? ["install", "--no-package-lock"] : ["ci"]),
          "--no-audit",
          "--no-fund",
          "--no-progress",
          "--loglevel=error",
        ],
        cwd: temporary,
        timeoutMs: SERVER_DEFAULTS.dependencyInstallMs,
        signal: this.#stopped.signal,
        env: this.#env,
      });
      if (!result.ok) throw failure(set, result);
      // npm makes no folder where nothing is to be installed on this platform.
      await mkdir(join(temporary, "node_modules"), { recursive: true });
      await rename(temporary, dir);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw diskError(error, "the dependencies could not be installed");
    }
    this.#log.info(
      { packages: set.packages, seconds: Math.round(performance.now() - startedAt) / 1000 },
      "dependencies installed",
    );
    return dir;
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
