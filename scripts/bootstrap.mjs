// Runs under whatever Node (18 or newer) the machine has, with nothing installed: installs what the lock file says if
// that is not there yet, builds `dist` if the sources changed, then runs the script under the Node 24 that npm
// installed.
//
//   node scripts/bootstrap.mjs quickstart|check|bench|faults [arguments]
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const BIN = path.join(ROOT, "node_modules", ".bin");
const NODE = path.join(BIN, process.platform === "win32" ? "node.cmd" : "node");
const SCRIPTS = {
  quickstart: "scripts/quickstart.ts",
  check: "scripts/check.ts",
  bench: "bench/run.ts",
  faults: "test/faults/run.ts",
};

const [name, ...scriptArgs] = process.argv.slice(2);
if (!Object.hasOwn(SCRIPTS, name ?? "")) {
  fail(`usage: node scripts/bootstrap.mjs ${Object.keys(SCRIPTS).join("|")} [arguments]`, 2);
}

if (!isInstalled()) install();
checkNode();
linkCli();
const env = { ...process.env, PATH: `${BIN}${path.delimiter}${process.env.PATH ?? ""}` };
await run([path.join(ROOT, "scripts", "build.ts"), "--if-changed"], env);
await run([path.join(ROOT, SCRIPTS[name]), ...scriptArgs], env);

/** Holds npm's own record of what stands in node_modules against the lock file, so that `npm install` counts as well. */
function isInstalled() {
  const wanted = readLock(path.join(ROOT, "package-lock.json"));
  const present = readLock(path.join(ROOT, "node_modules", ".package-lock.json"));
  if (!wanted) fail("package-lock.json is missing or is not JSON: restore it with `git checkout package-lock.json`");
  if (!present || !existsSync(NODE)) return false;
  return Object.entries(wanted).every(
    // An optional package may be absent: most are for other platforms.
    ([at, { version, optional }]) => at === "" || (present[at] ? present[at].version === version : optional === true),
  );
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return null;
  }
}

function install() {
  console.error("Installing the packages of package-lock.json with npm ci (once; takes up to a minute) ...");
  // Without our own .bin on the path: npm is about to delete the Node in there.
  const PATH = (process.env.PATH ?? "")
    .split(path.delimiter)
    .filter((folder) => folder !== BIN)
    .join(path.delimiter);
  // Warnings are left out because npm warns that the Node at hand is older than the one it is about to install.
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const { status, error } = spawnSync("npm", args, {
    cwd: ROOT,
    env: { ...process.env, PATH, npm_config_node_options: "" },
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (error) fail(`could not run npm (${error.message}): install npm, which comes with Node from https://nodejs.org`);
  if (status !== 0)
    fail(`npm ci failed with status ${status}; its own message is above. Check the network and try again`);
}

function checkNode() {
  const { status, stdout, error } = spawnSync(NODE, ["--version"], {
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status === 0 && Number(stdout.slice(1).split(".")[0]) >= 24) return;
  const found = error ? error.message : status === 0 ? `it is ${stdout.trim()}` : `it exits with status ${status}`;
  fail(
    `${path.relative(ROOT, NODE)} should be Node 24 but ${found}: run \`npm rebuild node\` with install scripts allowed`,
  );
}

/** So that `npx athanor` in this checkout runs this checkout's. */
function linkCli() {
  const link = path.join(BIN, "athanor");
  if (process.platform !== "win32" && !existsSync(link)) symlinkSync("../../bin/athanor.mjs", link);
}

/** Runs a script under Node 24 to its end; a failure ends this process with the same status. */
function run(args, env) {
  return new Promise((resolve) => {
    const child = spawn(NODE, args, { cwd: ROOT, env, stdio: "inherit", shell: process.platform === "win32" });
    // A terminal sends Ctrl-C to the child as well; this process only has to outlive it.
    const forward = (signal) => child.kill(signal);
    process.on("SIGINT", ignore);
    process.on("SIGTERM", forward);
    child.on("error", (error) => fail(`could not run ${NODE}: ${error.message}`));
    child.on("exit", (status, signal) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", forward);
      if (status === 0) resolve();
      else process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
    });
  });
}

function ignore() {}

function fail(message, status = 1) {
  console.error(`bootstrap: ${message}`);
  process.exit(status);
}
