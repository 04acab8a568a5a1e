import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
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
 * Where calls go: inside a replica its own server; else what is given; else ATHANOR_URL and ATHANOR_TOKEN; else the
 * server that runs on this machine, found by `server.json` and `token` in its data folder; else the default port.
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

function localServer(data?: string): { url: string; token: string | null } | null {
  const { join } = nodeModule("node:path");
  const folder = dataFolder(data);
  const text = readText(join(folder, "server.json"));
  if (text === null) return null;
  try {
    const { url } = JSON.parse(text) as ServerFile;
    return typeof url === "string"
      ? { url: trimmed(url), token: readText(join(folder, "token"))?.trim() ?? null }
      : null;
  } catch {
    return null;
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
