import { SPAWN_LIMITS as LIMITS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Json, JsonObject } from "../../protocol/json.ts";
import { secretFault } from "../../protocol/webhook.ts";
import type { SpawnRequest } from "../../protocol/wire.ts";
import type { Context } from "../context.ts";
import { validTraceparent } from "../http/trace.ts";
import { NO_OPTIONS, type SpawnOptions } from "../jobs/jobs.ts";
import { webhookUrlFault } from "../webhooks/target.ts";

/** What a request is held against. */
export interface SpawnRules {
  now: number;
  allowPrivateWebhooks: boolean;
}

export function spawnRules({ store, config }: Pick<Context, "store" | "config">): SpawnRules {
  return { now: store.clock(), allowPrivateWebhooks: config.allowPrivateWebhooks };
}

export interface CheckedSpawn {
  call: Pick<SpawnRequest, "args" | "kwargs">;
  options: SpawnOptions;
  /** Null: it says none of its own. */
  traceparent: string | null;
}

/** `at` is the path of the request in the body. Throws input_invalid. */
export function checkSpawnRequest(body: Json, rules: SpawnRules, at = ""): CheckedSpawn {
  const {
    args = [],
    kwargs = {},
    options,
    traceparent,
  } = objectOf(body, at, ["args", "kwargs", "options", "traceparent"]);
  if (!Array.isArray(args)) throw invalid(`${at}/args`, "an array", args);
  if (!isObject(kwargs)) throw invalid(`${at}/kwargs`, "an object", kwargs);
  return {
    call: { args, kwargs },
    options: options === undefined ? NO_OPTIONS : checkOptions(options, rules, `${at}/options`),
    traceparent: traceparent === undefined ? null : checkTraceparent(traceparent, `${at}/traceparent`),
  };
}

function checkTraceparent(value: Json, at: string): string {
  const valid = typeof value === "string" ? validTraceparent(value) : null;
  if (valid === null) throw invalid(at, "a traceparent of W3C Trace Context", value);
  return valid;
}

const OPTIONS = ["priority", "delay_s", "run_at", "ttl_s", "expire_s", "concurrency_key", "webhook"];

function checkOptions(value: Json, rules: SpawnRules, at: string): SpawnOptions {
  const given = objectOf(value, at, OPTIONS);
  if (given.delay_s !== undefined && given.run_at !== undefined)
    throw invalid(at, "an object with delay_s or run_at, not with both", value);
  const number = (name: string, min: number, max: number): number | null => {
    const found = given[name];
    if (found === undefined) return null;
    if (typeof found !== "number" || found < min || found > max)
      throw invalid(`${at}/${name}`, `a number of seconds from ${min} to ${max}`, found);
    return found;
  };
  const delayS = number("delay_s", 0, LIMITS.maxDelayS);
  return {
    priority: priorityOf(given.priority, `${at}/priority`),
    delayMs: delayS === null ? null : delayS * 1000,
    runAt: timeOf(given.run_at, rules.now, `${at}/run_at`),
    ttlS: number("ttl_s", 0, LIMITS.maxTtlS),
    expireS: number("expire_s", 0.001, LIMITS.maxExpireS),
    concurrencyKey:
      given.concurrency_key === undefined ? null : checkKey(given.concurrency_key, `${at}/concurrency_key`),
    webhook: webhookOf(given.webhook, rules, `${at}/webhook`),
    parent: null,
  };
}

function priorityOf(value: Json | undefined, at: string): number | null {
  if (value === undefined) return null;
  const { minPriority: min, maxPriority: max } = LIMITS;
  if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max)
    throw invalid(at, `a whole number from ${min} to ${max}`, value);
  return value;
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

function timeOf(value: Json | undefined, now: number, at: string): number | null {
  if (value === undefined) return null;
  const time = typeof value === "string" && ISO_TIME.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw invalid(at, "a time with its zone, such as 2027-01-31T09:00:00Z", value);
  if (time > now + LIMITS.maxDelayS * 1000) throw invalid(at, `a time within ${LIMITS.maxDelayS / 86_400} days`, value);
  return time;
}

/** Any character that shows, but no white space. */
const KEY = new RegExp(`^[^\\s\\p{C}]{1,${LIMITS.maxKeyChars}}$`, "u");

export function checkKey(value: Json, at: string): string {
  if (typeof value !== "string" || !KEY.test(value))
    throw invalid(at, `1 to ${LIMITS.maxKeyChars} visible characters`, value);
  return value;
}

function webhookOf(value: Json | undefined, rules: SpawnRules, at: string): SpawnOptions["webhook"] {
  if (value === undefined) return null;
  const { url, secret } = objectOf(value, at, ["url", "secret"]);
  if (typeof url !== "string") throw invalid(`${at}/url`, "an http or https URL", url);
  const fault = webhookUrlFault(url, rules.allowPrivateWebhooks);
  if (fault !== null) throw invalid(`${at}/url`, fault, url);
  // The value itself stays out of the message.
  const weak = typeof secret === "string" ? secretFault(secret) : "text";
  if (typeof secret !== "string" || weak !== null) throw invalid(`${at}/secret`, weak ?? "text");
  return { url: new URL(url).href, secret };
}

export function objectOf(value: Json, at: string, names: readonly string[]): { [name: string]: Json | undefined } {
  if (!isObject(value)) throw invalid(at, "an object", value);
  for (const name of Object.keys(value))
    if (!names.includes(name))
      throw invalid(`${at}/${name.slice(0, 100)}`, `absent: only ${names.join(", ")} are known`);
  return value;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function invalid(path: string, expected: string, actual?: Json | undefined): AthanorError {
  const shown = actual === undefined ? undefined : JSON.stringify(actual).slice(0, 100);
  const detail = `${path || "the body"} must be ${expected}${shown === undefined ? "" : `, and is ${shown}`}`;
  return new AthanorError("input_invalid", detail, {
    errors: [{ path, expected, ...(shown === undefined ? {} : { actual: shown }) }],
  });
}
