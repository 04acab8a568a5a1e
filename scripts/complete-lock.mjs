// A registry mirror that holds no packages for other platforms makes npm leave those optional packages out of the lock
// file, and `npm ci` then refuses it as out of date. This adds the missing entries, from the exact versions that their
// parents ask for, so that one lock file installs on every platform. Run it after changing dependencies:
//
//   node scripts/complete-lock.mjs [FOLDER ...]      (npm run lock)
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const OSES = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const CPUS = ["arm64", "arm", "x64", "ia32", "ppc64", "s390x", "riscv64", "loong64", "mips64el", "wasm32"];

const folders = process.argv.slice(2);
for (const folder of folders.length > 0 ? folders : ["."]) completeLock(path.join(folder, "package-lock.json"));

function completeLock(file) {
  const lock = JSON.parse(readFileSync(file, "utf8"));
  const added = [];
  for (const [parent, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isPresent(lock.packages, parent, name) || !/^\d+\.\d+\.\d+/.test(version)) continue;
      lock.packages[`node_modules/${name}`] = placeholder(name, version, entry.dev === true);
      added.push(`${name}@${version}`);
    }
  }
  if (added.length === 0) return;
  const inOrder = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en"));
  lock.packages = Object.fromEntries(inOrder);
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${file}: added ${added.length} packages for other platforms`);
}

/** As Node resolves: among the parent's own packages, then in every folder above. */
function isPresent(packages, parent, name) {
  for (let at = parent; ; ) {
    if (packages[path.posix.join(at, "node_modules", name)]) return true;
    if (at === "") return false;
    at = at.includes("/node_modules/") ? at.slice(0, at.lastIndexOf("/node_modules/")) : "";
  }
}

function placeholder(name, version, dev) {
  const words = name.split(/[^a-z0-9]+/);
  const os = OSES.filter((os) => words.includes(os));
  const cpu = CPUS.filter((cpu) => words.includes(cpu));
  /** @type {Record<string, unknown>} */
  const entry = { version };
  if (cpu.length > 0) entry.cpu = cpu;
  if (dev) entry.dev = true;
  entry.optional = true;
  if (os.length > 0) entry.os = os;
  const libc = words.some((word) => word.startsWith("musl")) ? "musl" : os.includes("linux") ? "glibc" : null;
  if (libc) entry.libc = [libc];
  return entry;
}
