import { randomInt } from "node:crypto";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { HTTP_DEFAULTS, POSTGRES_DEFAULTS, SERVER_DEFAULTS } from "../protocol/defaults.ts";
import { toWireName } from "../protocol/names.ts";
import {
  accessLogOf,
  bad,
  domainOf,
  flag,
  hostOf,
  integer,
  isLoopback,
  type LogLevel,
  logLevelOf,
  nonEmpty,
  publicUrlOf,
  quoted,
  tokenOf,
} from "./config-values.ts";
import { TrustedProxies } from "./http/proxies.ts";
import type { TlsFiles } from "./http/tls.ts";
import { parseTarget } from "./store/postgres/target.ts";

/** What `athanor up` was told by its flags, unvalidated; a flag wins over the variable of the same meaning. */
export interface ServerFlags {
  host?: string | undefined;
  /** 0: any free port. */
  port?: number | string | undefined;
  data?: string | undefined;
  domain?: string | undefined;
  /** A file that holds the token, instead of `token` in the data folder. */
  tokenFile?: string | undefined;
  /** Where clients reach this server, if a proxy stands before it: `https://athanor.example.com`. */
  publicUrl?: string | undefined;
  /** `sqlite`, or the URL of a PostgreSQL database; it may hold a password and is never shown. */
  store?: string | undefined;
  /** Connections to the database at a time. */
  storeConnections?: number | string | undefined;
  /** Where uploaded and returned files are; servers of one database share it. */
  blobs?: string | undefined;
  engine?: string | undefined;
  maxConnections?: number | string | undefined;
  /** PEM files: with both, the server speaks HTTPS. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** `off`, `errors`, `all`, or a share such as `0.01`. */
  accessLog?: string | undefined;
  /** Whose `X-Forwarded-For` is believed: `none`, `loopback`, `private`, `all`, or addresses and ranges. */
  trustProxy?: string | undefined;
  logLevel?: string | undefined;
  /** Blank runtime processes kept ready. */
  blanks?: number | string | undefined;
  /** Webhooks may go to hosts that are not public. */
  allowPrivateWebhooks?: boolean | undefined;
  /** Faults on purpose, of this seed; true: of any. */
  chaos?: number | string | boolean | undefined;
  /** Allows `chaos` on an address that other machines reach. */
  chaosAnywhere?: boolean | undefined;
  /** A function whose replicas open a debugger on this machine, and have no time limit. */
  inspect?: string | undefined;
}

export type StoreSetting =
  /** A file in the data folder. */
  | { kind: "sqlite" }
  /** The URL may hold a password: it goes to the driver, and nowhere else. `label` is what may be shown. */
  | { kind: "postgres"; url: string; label: string; connections: number };

/** The validated settings of a server. Nothing past this reads flags or the environment. */
export interface Config {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Absolute. */
  dataDir: string;
  /** Apps are reached by host at `<app>.<domain>`. */
  domain: string;
  /** ATHANOR_TOKEN; null: the token file's. */
  token: string | null;
  /** Absolute; where the token is read from, or written to at the first start. */
  tokenFile: string;
  /** True where `tokenFile` was named by a flag and so is never generated. */
  tokenFileGiven: boolean;
  publicUrl: string | null;
  /** Of clients, at a time. */
  maxConnections: number;
  /** Null: plain HTTP. */
  tls: TlsFiles | null;
  /** The share of requests that are logged, beside those that failed; null: none is. */
  accessLogShare: number | null;
  proxies: TrustedProxies;
  logLevel: LogLevel;
  store: StoreSetting;
  /** Absolute. */
  blobsDir: string;
  blankReplicas: number;
  /** Webhooks may go to hosts that are not public: this machine, its network. */
  allowPrivateWebhooks: boolean;
  /** The seed of the faults that are made on purpose; null: none are. */
  chaos: number | null;
  /** The wire name of the function whose replicas are debugged; null: none are. */
  inspect: string | null;
  /** Pages of 4 KiB that the store may grow to; null: what the disk holds. For tests of a full disk. */
  maxStorePages: number | null;
}

/** Flags and environment -> Config. Throws config_invalid naming the option and its value. */
export function resolveConfig(flags: ServerFlags, env: NodeJS.ProcessEnv): Config {
  const dataDir = resolve(flags.data ?? nonEmpty(env.ATHANOR_DATA) ?? defaultDataDir(env));
  if (flags.engine !== undefined && flags.engine !== "process")
    throw bad(`--engine is ${quoted(flags.engine)}; this version has "process" alone`);
  return {
    host: hostOf(flags.host ?? nonEmpty(env.ATHANOR_HOST) ?? SERVER_DEFAULTS.host),
    port: integer("--port", flags.port ?? nonEmpty(env.ATHANOR_PORT) ?? SERVER_DEFAULTS.port, 0, 65_535),
    dataDir,
    domain: domainOf(flags.domain ?? nonEmpty(env.ATHANOR_DOMAIN) ?? SERVER_DEFAULTS.domain),
    token: tokenOf(env.ATHANOR_TOKEN),
    tokenFile: flags.tokenFile === undefined ? join(dataDir, "token") : resolve(flags.tokenFile),
    tokenFileGiven: flags.tokenFile !== undefined,
    publicUrl: publicUrlOf(flags.publicUrl ?? nonEmpty(env.ATHANOR_PUBLIC_URL)),
    maxConnections: integer(
      "--max-connections",
      flags.maxConnections ?? nonEmpty(env.ATHANOR_MAX_CONNECTIONS) ?? HTTP_DEFAULTS.maxConnections,
      1,
      1_000_000,
    ),
    tls: tlsOf(flags, env),
    accessLogShare: accessLogOf(flags.accessLog ?? nonEmpty(env.ATHANOR_ACCESS_LOG) ?? "errors"),
    proxies: proxiesOf(flags, env),
    logLevel: logLevelOf(flags.logLevel ?? nonEmpty(env.ATHANOR_LOG_LEVEL) ?? "info"),
    store: storeOf(flags, env),
    blobsDir: resolve(flags.blobs ?? nonEmpty(env.ATHANOR_BLOBS) ?? join(dataDir, "blobs")),
    blankReplicas: integer("--blanks", flags.blanks ?? SERVER_DEFAULTS.blankReplicas, 0, 64),
    allowPrivateWebhooks: flags.allowPrivateWebhooks ?? flag("ATHANOR_ALLOW_PRIVATE_WEBHOOKS", env),
    chaos: chaosOf(flags, env),
    inspect: flags.inspect === undefined ? null : toWireName(flags.inspect),
    maxStorePages: null,
  };
}

/** `$XDG_DATA_HOME/athanor`, or `~/.local/share/athanor`. */
function defaultDataDir(env: NodeJS.ProcessEnv): string {
  const xdg = env.XDG_DATA_HOME;
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, "athanor") : join(homedir(), ".local", "share", "athanor");
}

/** Faults strike whoever calls: on purpose, and so on this machine alone unless that is said too. */
function chaosOf({ chaos, chaosAnywhere, host }: ServerFlags, env: NodeJS.ProcessEnv): number | null {
  if (chaos === undefined || chaos === false) return null;
  const given = hostOf(host ?? nonEmpty(env.ATHANOR_HOST) ?? SERVER_DEFAULTS.host);
  if (!isLoopback(given) && chaosAnywhere !== true)
    throw bad(`--chaos breaks calls on purpose, and --host ${given} is reached by others; --chaos-anywhere allows it`);
  return chaos === true ? randomInt(1e9) : integer("--chaos", chaos, 0, 999_999_999);
}

function storeOf(flags: ServerFlags, env: NodeJS.ProcessEnv): StoreSetting {
  const store = flags.store ?? nonEmpty(env.ATHANOR_STORE) ?? "sqlite";
  if (store === "sqlite") return { kind: "sqlite" };
  if (!/^postgres(?:ql)?:\/\//.test(store)) {
    // What looks like a URL may hold a password, mistyped or not.
    const shown = store.includes(":") || store.includes("@") ? "neither of the two" : quoted(store);
    throw bad(`--store is ${shown}; "sqlite" or a URL such as postgres://role@host:5432/database is needed`);
  }
  const given = flags.storeConnections ?? nonEmpty(env.ATHANOR_STORE_CONNECTIONS) ?? POSTGRES_DEFAULTS.maxConnections;
  const { label } = parseTarget(store);
  return { kind: "postgres", url: store, label, connections: integer("--store-connections", given, 1, 1000) };
}

function tlsOf(flags: ServerFlags, env: NodeJS.ProcessEnv): TlsFiles | null {
  const cert = flags.tlsCert ?? nonEmpty(env.ATHANOR_TLS_CERT);
  const key = flags.tlsKey ?? nonEmpty(env.ATHANOR_TLS_KEY);
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined) throw bad(`--tls-key is ${quoted(key)}, and there is no --tls-cert; both are needed`);
  if (key === undefined) throw bad(`--tls-cert is ${quoted(cert)}, and there is no --tls-key; both are needed`);
  return { cert: resolve(cert), key: resolve(key) };
}

function proxiesOf(flags: ServerFlags, env: NodeJS.ProcessEnv): TrustedProxies {
  const hasPublicUrl = (flags.publicUrl ?? nonEmpty(env.ATHANOR_PUBLIC_URL)) !== undefined;
  // Where a proxy is known to be, it mostly has an address of the same network.
  const value = flags.trustProxy ?? nonEmpty(env.ATHANOR_TRUST_PROXY) ?? (hasPublicUrl ? "private" : "none");
  try {
    return new TrustedProxies(value);
  } catch (error) {
    throw bad(
      `--trust-proxy is ${quoted(value)}, of which ${(error as Error).message}; none, loopback, private, all, or addresses and ranges with commas are needed`,
    );
  }
}
