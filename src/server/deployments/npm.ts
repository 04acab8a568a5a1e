import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

const MAX_OUTPUT_CHARS = 16 * 1024;

/** What npm may see of the server's environment: how to reach and trust its registry, and where its cache and settings are. */
const PASSED = new Set(
  [
    "PATH",
    "HOME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LANG",
    "LC_ALL",
    "TZ",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
  ].concat(
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
    ["CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "PYTHON"],
  ),
);
const PASSED_NPM_CONFIG =
  /^npm_config_(?:registry|@[^:]+:registry|\/\/.*|(?:https?[-_]?)?proxy|no[-_]?proxy|ca|cafile|cert|key|strict[-_]ssl|cache|userconfig|globalconfig|offline|prefer[-_]offline|prefer[-_]online|fetch[-_].*|maxsockets|ignore[-_]scripts|node[-_]gyp|nodedir|python|replace[-_]registry[-_]host)$/i;

/** Only what is on the list; nothing of the server's own settings or secrets. Node of this process comes first on PATH. */
export function npmEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (PASSED.has(name.toUpperCase()) || PASSED_NPM_CONFIG.test(name))) passed[name] = value;
  }
  passed.PATH = [dirname(process.execPath), passed.PATH ?? "/usr/local/bin:/usr/bin:/bin"].join(delimiter);
  return passed;
}

/** npm's own script, so that it can be run by this process's Node, whose native addons are wanted. Null where there is none. */
export function findNpm(env: NodeJS.ProcessEnv): string | null {
  const beside = join(dirname(realpathSync(process.execPath)), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  const candidates = [env.npm_execpath, beside, ...(env.PATH ?? "").split(delimiter).map((dir) => join(dir, "npm"))];
  for (const candidate of candidates) {
    if (candidate === undefined || candidate === "" || !existsSync(candidate)) continue;
    const script = realpathSync(candidate);
    if (script.endsWith("npm-cli.js") && isReadable(script)) return script;
  }
  return null;
}

const isReadable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
};

export interface NpmResult {
  ok: boolean;
  /** Why it is not ok. */
  reason: string;
  /** The last lines of what it printed. */
  lastLines: string;
}

/** Runs npm in the folder, in a process group of its own, which is killed when the time is over or the signal aborts. */
export async function runNpm(p: {
  npm: string;
  args: string[];
  cwd: string;
  timeoutMs: number;
  signal: AbortSignal;
  env: NodeJS.ProcessEnv;
}): Promise<NpmResult> {
  const child = spawn(process.execPath, [p.npm, ...p.args], {
    cwd: p.cwd,
    env: npmEnvironment(p.env),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARS);
    });
  }
  const stop = AbortSignal.any([p.signal, AbortSignal.timeout(p.timeoutMs)]);
  const onStop = (): void => killGroup(child);
  stop.addEventListener("abort", onStop, { once: true });
  const reason = await new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`npm could not be started: ${error.message}`));
    child.once("close", (code, signal) =>
      resolve(code === 0 ? "" : `npm ended with ${code === null ? signal : `status ${code}`}`),
    );
    if (stop.aborted) onStop();
  });
  stop.removeEventListener("abort", onStop);
  const stopped = p.signal.aborted
    ? "the server stopped"
    : stop.aborted
      ? `npm took longer than ${p.timeoutMs / 1000} s`
      : reason;
  return { ok: reason === "", reason: stopped, lastLines: output.trim().split("\n").slice(-15).join("\n") };
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has gone by itself.
  }
}
