import { DEV_DEFAULTS, SERVER_DEFAULTS } from "../protocol/defaults.ts";
import type { ServerFile } from "../protocol/wire.ts";
import { Api } from "./client/api.ts";
import { environment, hasNode, nodeModule } from "./node.ts";
import { runtimeGlobal } from "./registry.ts";

export interface ServerAddress {
  url: string;
  /** Null: none is known; the server will refuse what needs one. */
  token: string | null;
}

export interface GivenAddress {
  url?: string | undefined;
  token?: string | undefined;
  /** The data folder to look for a server of this machine in. */
  data?: string | undefined;
}

/** `--data`, `ATHANOR_DATA`, or the user's own folder for data. */
export function dataFolder(given?: string): string {
  const { join, resolve } = nodeModule("node:path");
  const named = given ?? environment("ATHANOR_DATA");
  if (named !== undefined) return resolve(named);
  const home = environment("XDG_DATA_HOME") ?? join(nodeModule("node:os").homedir(), ".local", "share");
  return join(home, "athanor");
}

/**
 * Where calls go: inside a replica its own server; else what is given; else ATHANOR_URL and ATHANOR_TOKEN; else the server that runs on
 * this machine, found by `server.json` and `token` in its data folder: that of `athanor dev` in the project that this program runs in, or
 * the user's own; else the default port.
 */
export function serverAddress(given: GivenAddress = {}): ServerAddress {
  const runtime = runtimeGlobal();
  if (runtime && given.url === undefined) return { url: runtime.serverUrl, token: runtime.serverToken };
  const url = given.url ?? environment("ATHANOR_URL");
  const token = given.token ?? environment("ATHANOR_TOKEN") ?? null;
  const local = hasNode() ? localServer(given.data) : null;
  if (url === undefined) return { url: local?.url ?? defaultUrl(), token: token ?? local?.token ?? null };
  // The local token is for the local server alone: never sent to another address.
  const isLocal = local !== null && trimmed(url) === trimmed(local.url);
  return { url: trimmed(url), token: token ?? (isLocal ? local.token : null) };
}

/** The server's URL where it is known without asking anyone. */
export function knownServerUrl(): string | null {
  const runtime = runtimeGlobal();
  if (runtime) return trimmed(runtime.serverUrl);
  const given = environment("ATHANOR_URL") ?? (hasNode() ? localServer()?.url : undefined);
  return given === undefined ? null : trimmed(given);
}

export function connect(given: GivenAddress = {}): Api {
  return new Api(serverAddress(given));
}

interface LocalServer {
  url: string;
  token: string | null;
}

function localServer(data?: string): LocalServer | null {
  const isNamed = data !== undefined || environment("ATHANOR_DATA") !== undefined;
  return (isNamed ? null : devServer()) ?? serverIn(dataFolder(data))?.server ?? null;
}

/** The one that `athanor dev` runs for the project around the working folder, where it is alive. */
function devServer(): LocalServer | null {
  const { dirname, join } = nodeModule("node:path");
  for (let at = process.cwd(); ; at = dirname(at)) {
    const found = serverIn(join(at, DEV_DEFAULTS.dataFolder));
    if (found !== null && isAlive(found.pid)) return found.server;
    if (dirname(at) === at) return null;
  }
}

function serverIn(folder: string): { server: LocalServer; pid: number } | null {
  const { join } = nodeModule("node:path");
  const text = readText(join(folder, "server.json"));
  if (text === null) return null;
  try {
    const { url, pid } = JSON.parse(text) as ServerFile;
    if (typeof url !== "string") return null;
    return { server: { url: trimmed(url), token: readText(join(folder, "token"))?.trim() ?? null }, pid };
  } catch {
    return null;
  }
}

/** A killed server leaves its file behind. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string | null {
  try {
    return nodeModule("node:fs").readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function defaultUrl(): string {
  return `http://${SERVER_DEFAULTS.host}:${SERVER_DEFAULTS.port}`;
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, "");
}
