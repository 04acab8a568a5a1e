import { AthanorError } from "../protocol/errors.ts";

/** The values of single settings, read and checked. Each throws config_invalid that names its option and what was given. */

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export const bad = (detail: string): AthanorError => new AthanorError("config_invalid", detail);

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

export const nonEmpty = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

export const quoted = (value: unknown): string => JSON.stringify(value);

/** A variable that turns something on. */
export function flag(name: string, env: NodeJS.ProcessEnv): boolean {
  const value = env[name] ?? "";
  if (["", "0", "false"].includes(value)) return false;
  if (["1", "true"].includes(value)) return true;
  throw bad(`${name} is ${quoted(value)}; 1 or 0 is needed`);
}

export function integer(name: string, value: number | string, min: number, max: number): number {
  const number = typeof value === "number" ? value : /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isInteger(number) || number < min || number > max)
    throw bad(`${name} is ${quoted(value)}; a whole number from ${min} to ${max} is needed`);
  return number;
}

export function hostOf(value: string): string {
  const host = value.replace(/^\[(.*)\]$/, "$1");
  if (!/^[A-Za-z0-9.:_%-]{1,255}$/.test(host))
    throw bad(`--host is ${quoted(value)}; a host name or an IP address is needed`);
  return host;
}

export function domainOf(value: string): string {
  const domain = value.toLowerCase();
  const labels = domain.split(".");
  if (
    domain.length > 253 ||
    !labels.every((label) => label.length <= 63 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label))
  ) {
    throw bad(`--domain is ${quoted(value)}; a domain name such as "localhost" or "apps.example.com" is needed`);
  }
  return domain;
}

export function tokenOf(value: string | undefined): string | null {
  const token = value?.trim();
  if (token === undefined || token === "") return null;
  // The value itself stays out of the message.
  if (!/^[\x21-\x7e]{16,512}$/.test(token)) throw bad("ATHANOR_TOKEN must be 16 to 512 visible ASCII characters");
  return token;
}

export function accessLogOf(value: string): number | null {
  const known: { [name: string]: number | null } = { off: null, errors: 0, all: 1 };
  if (Object.hasOwn(known, value)) return known[value] as number | null;
  const share = /^\d?(?:\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
  if (!(share > 0 && share <= 1))
    throw bad(`--access-log is ${quoted(value)}; off, errors, all, or a share of requests such as 0.01 is needed`);
  return share;
}

export function publicUrlOf(value: string | undefined): string | null {
  if (value === undefined) return null;
  const url = URL.parse(value);
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== "/" ||
    url.search !== "" ||
    url.hash !== "" ||
    url.username !== ""
  ) {
    throw bad(`--public-url is ${quoted(value)}; an origin such as "https://athanor.example.com" is needed`);
  }
  return url.origin;
}

export function logLevelOf(value: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === value);
  if (!level) throw bad(`--log-level is ${quoted(value)}; one of ${LOG_LEVELS.join(", ")} is needed`);
  return level;
}
