import { SPAWN_LIMITS as LIMITS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { SpawnOptionsJson } from "../../protocol/wire.ts";
import type { CallOptions } from "../handle.ts";

/** A handle's options as the wire has them. @throws AthanorError `usage` for one that the server would refuse. */
export function wireOptions(options: CallOptions): SpawnOptionsJson {
  const { priority, delayS, runAt, ttlS, expireS, concurrencyKey, webhook } = options;
  if (delayS !== undefined && runAt !== undefined)
    throw refused("delayS and runAt are both given", "leave one of them out");
  return {
    ...(priority === undefined ? {} : { priority: checkPriority(priority) }),
    ...(delayS === undefined ? {} : { delay_s: seconds("delayS", delayS, LIMITS.maxDelayS) }),
    ...(runAt === undefined ? {} : { run_at: timeOf(runAt) }),
    ...(ttlS === undefined ? {} : { ttl_s: seconds("ttlS", ttlS, LIMITS.maxTtlS) }),
    ...(expireS === undefined ? {} : { expire_s: seconds("expireS", expireS, LIMITS.maxExpireS) }),
    ...(concurrencyKey === undefined ? {} : { concurrency_key: checkKey(concurrencyKey) }),
    ...(webhook === undefined ? {} : { webhook: { url: String(webhook.url), secret: webhook.secret } }),
  };
}

function checkPriority(priority: number): number {
  const { minPriority: min, maxPriority: max } = LIMITS;
  if (Number.isInteger(priority) && priority >= min && priority <= max) return priority;
  throw refused(`priority is ${priority}`, `it is a whole number from ${min} to ${max}`);
}

function seconds(name: string, value: number, max: number): number {
  if (value >= 0 && value <= max) return value;
  throw refused(`${name} is ${value}`, `it is a number of seconds from 0 to ${max}`);
}

function checkKey(key: string): string {
  if (typeof key === "string" && key.length >= 1 && key.length <= LIMITS.maxKeyChars) return key;
  throw refused(
    `concurrencyKey is ${typeof key === "string" ? `${key.length} characters long` : String(key)}`,
    `it is a text of 1 to ${LIMITS.maxKeyChars} characters`,
  );
}

function timeOf(time: Date | string): string {
  const date = new Date(time);
  if (!Number.isNaN(date.getTime())) return date.toISOString();
  throw refused(`runAt is ${String(time)}`, "it is a Date, or text that gives one");
}

function refused(what: string, instead: string): AthanorError {
  return new AthanorError("usage", `${what}: ${instead}`, { hint: "See CallOptions of handle.with()." });
}
