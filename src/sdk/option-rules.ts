import { SPAWN_LIMITS } from "../protocol/defaults.ts";
import { PYTHON_TARGET, PYTHON_VERSION, requirementFault } from "../protocol/python.ts";
import type { FunctionKind } from "../protocol/spec.ts";
import { above, flag, integer, isObject, isText, isTexts, number, text, texts } from "./option-values.ts";

export type Scope = FunctionKind | "app" | "project";

export interface OptionRule {
  scopes: readonly Scope[];
  allowed: string;
  test(value: unknown): boolean;
  /** Rules of the option's own entries, where it is an object. */
  entries?: Record<string, Omit<OptionRule, "scopes">>;
}

const SERVICES: readonly Scope[] = ["fetch", "node", "webServer", "asgi", "wsgi"];
const PYTHON: readonly Scope[] = ["asgi", "wsgi"];
const JOBS: readonly Scope[] = ["function", "endpoint", "app"];
const ALL: readonly Scope[] = [...JOBS, ...SERVICES];
const HTTP: readonly Scope[] = ["endpoint", "app", ...SERVICES];
const ENDPOINT: readonly Scope[] = ["endpoint"];
const DECLARED: readonly Scope[] = ["function", "endpoint"];
const YEAR_S = 366 * 24 * 3600;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const retryCount = integer(0, 1000);

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function isEnv(value: unknown): boolean {
  if (!isObject(value)) return false;
  return Object.entries(value).every(
    ([name, entry]) =>
      ENV_NAME.test(name) && !name.startsWith("ATHANOR_") && typeof entry === "string" && !entry.includes("\0"),
  );
}

function isFilters(value: unknown): boolean {
  const isLeaf = (leaf: unknown) => ["string", "number", "boolean"].includes(typeof leaf);
  return isObject(value) && Object.values(value).every((ops) => isObject(ops) && Object.values(ops).every(isLeaf));
}

function isMethods(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((method) => METHODS.includes(method));
}

const QUEUE_ENTRIES = {
  size: integer(1, 1_000_000, " of jobs"),
  maxWorkers: integer(1, 10_000, " of jobs"),
  ttlS: number(0, YEAR_S, " of seconds"),
};

const MIB = 1024 * 1024;

const MISSED = { allowed: '"run_once" or "skip"', test: (value: unknown) => value === "run_once" || value === "skip" };

/** What the cron expression, its zone and the seconds may be is checked where the ticks are computed. */
function isSchedule(value: unknown): boolean {
  if (!isObject(value)) return isText(value);
  const isCron = value.cron !== undefined;
  return isCron !== (value.everyS !== undefined) && (isCron || value.timeZone === undefined);
}

const isPath = (value: unknown): boolean => typeof value === "string" && /^\/[!-~]*$/.test(value);

/** An argument may be empty; the program's name may not. */
function isCommand(value: unknown): boolean {
  return (
    Array.isArray(value) && isText(value[0]) && value.every((part) => typeof part === "string" && !part.includes("\0"))
  );
}

const matches = (pattern: RegExp) => (value: unknown) => typeof value === "string" && pattern.test(value);

/** Of a path below the entry file's folder, as it may be written. */
function isInside(value: unknown): boolean {
  return isText(value) && !/^\/|\\|\0|(?:^|\/)\.\.(?:\/|$)/.test(value as string);
}

function isRequirements(value: unknown): boolean {
  return isTexts(value) && (value as string[]).every((line) => requirementFault(line) === null);
}

/** Every option: where it may stand and what it may be. */
export const OPTION_RULES: Record<string, OptionRule> = {
  cpu: { scopes: ALL, ...above(0, 1024, " of cores") },
  memoryMb: { scopes: ALL, ...integer(64, 16 * 1024 * 1024, " of MiB") },
  timeoutS: { scopes: ALL, ...above(0, YEAR_S, " of seconds") },
  diskGb: { scopes: ALL, ...above(0, 1024 * 1024, " of GiB") },
  gpu: {
    scopes: ALL,
    allowed: "the name of a GPU, or a list of names",
    test: (value) => isText(value) || (isTexts(value) && (value as string[]).length > 0),
  },
  gpuCount: { scopes: ALL, ...integer(0, 64) },
  minVramGb: { scopes: ALL, ...above(0, 4096, " of GiB") },
  geolocation: { scopes: ALL, ...texts },
  offerFilters: { scopes: ALL, allowed: "{field: {op: text, number or boolean}}", test: isFilters },
  env: {
    scopes: ALL,
    allowed: "{NAME: text}, with names of letters, digits and _ that do not begin with ATHANOR_",
    test: isEnv,
  },
  concurrency: { scopes: ALL, ...integer(1, 10_000, " of calls") },
  keyConcurrency: { scopes: JOBS, ...integer(1, 10_000, " of jobs") },
  rateLimit: {
    scopes: JOBS,
    allowed: "{limit, perS}",
    test: (value) => isObject(value) && value.limit !== undefined && value.perS !== undefined,
    entries: { limit: integer(1, 1_000_000, " of starts"), perS: above(0, 24 * 3600, " of seconds") },
  },
  priority: { scopes: JOBS, ...integer(SPAWN_LIMITS.minPriority, SPAWN_LIMITS.maxPriority) },
  expireS: { scopes: JOBS, ...above(0, SPAWN_LIMITS.maxExpireS, " of seconds") },
  schedule: {
    scopes: DECLARED,
    allowed: "a cron expression, {cron, timeZone, missed} or {everyS, missed}",
    test: isSchedule,
    entries: { cron: text, timeZone: text, everyS: above(0, YEAR_S, " of seconds"), missed: MISSED },
  },
  batch: {
    scopes: DECLARED,
    allowed: "{maxSize, waitMs}",
    test: (value) => isObject(value) && value.maxSize !== undefined,
    entries: { maxSize: integer(1, 10_000, " of jobs"), waitMs: number(0, 60_000, " of milliseconds") },
  },
  minReplicas: { scopes: ALL, ...integer(0, 10_000) },
  maxReplicas: { scopes: ALL, ...integer(1, 10_000) },
  keepWarmS: { scopes: ALL, ...number(0, YEAR_S, " of seconds") },
  scaleUpDelayS: { scopes: ALL, ...number(0, 24 * 3600, " of seconds") },
  retries: {
    scopes: JOBS,
    allowed: `${retryCount.allowed}, or {max, delayS, backoff, maxDelayS, jitter, retryOn}`,
    test: (value) => retryCount.test(value) || (isObject(value) && value.max !== undefined),
    entries: {
      max: retryCount,
      delayS: number(0, YEAR_S, " of seconds"),
      backoff: number(1, 100, ""),
      maxDelayS: number(0, YEAR_S, " of seconds"),
      jitter: number(0, 1, ""),
      retryOn: { allowed: "a function of what was thrown", test: (value) => typeof value === "function" },
    },
  },
  events: {
    scopes: JOBS,
    allowed: "{window, windowBytes}",
    test: isObject,
    entries: {
      window: integer(1, 1_000_000, " of events"),
      windowBytes: integer(1024, 1024 * MIB, " of bytes"),
    },
  },
  serviceStartupTimeoutS: { scopes: HTTP, ...above(0, 24 * 3600, " of seconds") },
  drainTimeoutS: { scopes: HTTP, ...number(0, 24 * 3600, " of seconds") },
  access: { scopes: HTTP, allowed: '"public" or "token"', test: (value) => value === "public" || value === "token" },
  cors: {
    scopes: HTTP,
    allowed: "true, false or {origins, headers, credentials}",
    test: (value) => typeof value === "boolean" || isObject(value),
    entries: { origins: texts, headers: texts, credentials: flag },
  },
  maxUploadFileSizeMb: { scopes: ["endpoint", "app"], ...above(0, 1024 * 1024, " of MiB") },
  path: { scopes: SERVICES, allowed: "a path that begins with /", test: isPath },
  healthPath: {
    scopes: SERVICES.filter((kind) => kind !== "fetch"),
    allowed: "a path that begins with /",
    test: isPath,
  },
  startupTimeoutS: { scopes: SERVICES, ...above(0, 24 * 3600, " of seconds") },
  command: {
    scopes: ["webServer"],
    allowed: "a list of texts, the program first",
    test: isCommand,
  },
  target: { scopes: PYTHON, allowed: "module:attribute or module:factory()", test: matches(PYTHON_TARGET) },
  dir: { scopes: PYTHON, allowed: "a folder below the entry file's, such as backend", test: isInside },
  requirements: { scopes: PYTHON, allowed: "a file below `dir`, such as requirements.txt", test: isInside },
  packages: { scopes: PYTHON, allowed: "a list of requirements, such as flask>=3", test: isRequirements },
  pythonVersion: {
    scopes: PYTHON,
    allowed: "a version such as 3.12, or a range such as >=3.11,<3.14",
    test: matches(PYTHON_VERSION),
  },
  workers: { scopes: ["wsgi"], ...integer(1, 100, " of processes") },
  methods: { scopes: ENDPOINT, allowed: `a list of ${METHODS.join(", ")}`, test: isMethods },
  summary: { scopes: ENDPOINT, ...text },
  tags: { scopes: ENDPOINT, ...texts },
  useQueue: { scopes: ENDPOINT, ...flag },
  queue: {
    scopes: [...JOBS, "project"],
    allowed: "{size, maxWorkers, ttlS}",
    test: isObject,
    entries: QUEUE_ENTRIES,
  },
  compute: {
    scopes: ["app"],
    allowed: '"dedicated" or "serverless"',
    test: (value) => value === "dedicated" || value === "serverless",
  },
  input: {
    scopes: DECLARED,
    allowed: "a Standard Schema (Zod, Valibot, ArkType)",
    test: isStandardSchema,
  },
  output: {
    scopes: DECLARED,
    allowed: "a Standard Schema (Zod, Valibot, ArkType)",
    test: isStandardSchema,
  },
};

/** ArkType's schemas are functions. */
function isStandardSchema(value: unknown): boolean {
  return ((typeof value === "object" && value !== null) || typeof value === "function") && "~standard" in value;
}
