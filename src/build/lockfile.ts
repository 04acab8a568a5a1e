/** As much of a package-lock.json, version 2 or 3, as is read here. */
export interface Lockfile {
  packages?: { [path: string]: LockEntry };
}

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
  [field: string]: unknown;
}

/** Kept of an entry, in this order. The rest describes the old tree, or nothing that an install needs. */
const KEPT = [
  "version",
  "resolved",
  "integrity",
  "cpu",
  "os",
  "libc",
  "engines",
  "hasInstallScript",
  "inBundle",
  "bin",
  "dependencies",
  "optionalDependencies",
  "peerDependencies",
  "peerDependenciesMeta",
];

/** A tarball of a registry, wherever that is: npm finds it again by name and version. */
const REGISTRY_TARBALL = /^https?:\/\/[^/]+\/.*\/-\/[^/]+\.tgz(?:#.*)?$/;

interface Placing {
  old: { [path: string]: LockEntry };
  /** New path -> old path. */
  placed: Map<string, string>;
  /** New paths that something needs for certain. */
  required: Set<string>;
}

/**
 * A lock file, version 3, of just these packages and what they need, laid out as npm would. Null where one of them is not in the lock, or is a
 * folder of the project's own rather than an installed package.
 */
export function cutLockfile(lock: Lockfile, roots: { name: string; path: string }[]): string | null {
  const placing: Placing = { old: lock.packages ?? {}, placed: new Map(), required: new Set() };
  for (const { name, path } of roots) {
    const entry = placing.old[path];
    if (entry?.version === undefined || entry.link === true || !isInstallable(entry)) return null;
    placing.placed.set(`node_modules/${name}`, path);
  }
  for (const { name } of roots) visit(`node_modules/${name}`, placing, true);
  const entries = [...placing.placed].sort(([a], [b]) => (a < b ? -1 : 1));
  const packages: Record<string, unknown> = { "": rootEntry(roots, placing.old) };
  for (const [path, oldPath] of entries)
    packages[path] = cutEntry(placing.old[oldPath] ?? {}, !placing.required.has(path));
  const name = "dependencies";
  return `${JSON.stringify({ name, version: "0.0.0", lockfileVersion: 3, requires: true, packages }, null, 2)}\n`;
}

function rootEntry(roots: { name: string; path: string }[], old: Placing["old"]): LockEntry {
  const dependencies = Object.fromEntries(roots.map(({ name, path }) => [name, old[path]?.version ?? ""]));
  return { name: "dependencies", version: "0.0.0", dependencies };
}

function isInstallable(entry: LockEntry): boolean {
  return entry.resolved === undefined || !entry.resolved.startsWith("file:");
}

/** Places all that the package at a new path needs. Each path is visited again only where it turns out to be needed for certain. */
function visit(path: string, placing: Placing, required: boolean): void {
  if (placing.required.has(path)) return;
  if (required) placing.required.add(path);
  const oldPath = placing.placed.get(path) ?? "";
  const entry = placing.old[oldPath] ?? {};
  for (const { name, optional } of needsOf(entry)) {
    const wanted = lookUp(name, oldPath, placing.old);
    if (wanted === null) continue;
    const { path: at, isNew } = place(name, wanted, path, placing);
    const certain = required && !optional;
    if (isNew || (certain && !placing.required.has(at))) visit(at, placing, certain);
  }
}

function needsOf(entry: LockEntry): { name: string; optional: boolean }[] {
  const optional = Object.keys(entry.optionalDependencies ?? {});
  const certain = Object.keys(entry.dependencies ?? {}).filter((name) => !optional.includes(name));
  const peers = Object.keys(entry.peerDependencies ?? {});
  const isOptionalPeer = (name: string): boolean => entry.peerDependenciesMeta?.[name]?.optional === true;
  return [
    ...certain.map((name) => ({ name, optional: false })),
    ...optional.map((name) => ({ name, optional: true })),
    // An optional peer is installed only where something else asks for it.
    ...peers.filter((name) => !isOptionalPeer(name)).map((name) => ({ name, optional: false })),
  ];
}

/** The old path of the package that `name` means for the one at `from`, as Node looks it up. */
function lookUp(name: string, from: string, old: Placing["old"]): string | null {
  for (let at = from; ; at = parentOf(at)) {
    const candidate = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    if (old[candidate] !== undefined) return candidate;
    if (at === "") return null;
  }
}

/** The new path of a package for the one at `from`: where it lies already, or as near the top as no other of its name is in the way. */
function place(name: string, oldPath: string, from: string, placing: Placing): { path: string; isNew: boolean } {
  let free: string | null = null;
  for (let at = from; ; at = parentOf(at)) {
    const candidate = at === "" ? `node_modules/${name}` : `${at}/node_modules/${name}`;
    const there = placing.placed.get(candidate);
    if (there !== undefined && sameEntry(placing.old[there], placing.old[oldPath]))
      return { path: candidate, isNew: false };
    if (there !== undefined) break;
    free = candidate;
    if (at === "") break;
  }
  const path = free ?? `${from}/node_modules/${name}`;
  placing.placed.set(path, oldPath);
  return { path, isNew: true };
}

function sameEntry(a: LockEntry | undefined, b: LockEntry | undefined): boolean {
  return a === b || (a?.version === b?.version && a?.integrity === b?.integrity);
}

/** `node_modules/a` of `node_modules/a/node_modules/b`, and the folder of a workspace of what lies in it. */
function parentOf(path: string): string {
  const at = path.lastIndexOf("node_modules/");
  return at <= 0 ? "" : path.slice(0, at - 1);
}

function cutEntry(entry: LockEntry, optional: boolean): LockEntry {
  const cut: LockEntry = {};
  for (const field of KEPT) if (entry[field] !== undefined) cut[field] = entry[field];
  if (cut.resolved !== undefined && REGISTRY_TARBALL.test(cut.resolved) && cut.integrity !== undefined)
    delete cut.resolved;
  if (optional) cut.optional = true;
  return cut;
}
