import { accessSync, constants, existsSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

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
