import assert from "node:assert/strict";
import { test } from "node:test";
import type { OptionSources } from "./option-sources.ts";
import { resolveCompute, resolveOptions } from "./resolve-options.ts";

function resolve(given: Partial<OptionSources> & { kind: OptionSources["kind"] }) {
  return resolveOptions({ name: "swap-face", path: null, port: null, options: {}, app: {}, project: {}, ...given });
}

test("a function has the defaults, a queue, and one job at a time", () => {
  assert.deepEqual(resolve({ kind: "function" }), {
    endpoint: null,
    service: null,
    queue: { size: 500, maxWorkers: 1, ttlS: 3600 },
    placement: {
      cpu: 1,
      memoryMb: 1024,
      diskGb: null,
      gpu: [],
      gpuCount: 0,
      minVramGb: null,
      geolocation: [],
      offerFilters: {},
      env: {},
    },
    timeoutS: 600,
    concurrency: 1,
    minReplicas: 0,
    maxReplicas: 1,
    keepWarmS: 600,
    scaleUpDelayS: 0,
    retries: { max: 0, delayS: 1, backoff: 2, maxDelayS: 300, jitter: 0.1 },
    limits: { concurrency: null, keyConcurrency: 1, rate: null },
    priority: 0,
    expireS: null,
    batch: null,
    schedule: null,
    events: { window: 1000, windowBytes: 16 * 1024 * 1024 },
  });
});

test("an endpoint is synchronous, public, and under its own name", () => {
  const { endpoint, queue, concurrency } = resolve({ kind: "endpoint" });
  assert.equal(queue, null);
  assert.equal(concurrency, 100);
  assert.deepEqual(endpoint, {
    path: "/swap-face",
    methods: ["POST"],
    summary: null,
    tags: [],
    maxUploadFileSizeMb: 100,
    access: "public",
    cors: null,
    serviceStartupTimeoutS: 300,
    drainTimeoutS: 30,
  });
});

test("what makes an endpoint queued", () => {
  const queued = (options: object, app: object = {}) => resolve({ kind: "endpoint", options, app }).queue !== null;
  assert.equal(queued({ queue: {} }), true);
  assert.equal(queued({ useQueue: true }), true);
  assert.equal(queued({}, { compute: "serverless" }), true);
  assert.equal(queued({ useQueue: false }, { compute: "serverless" }), false);
  assert.equal(queued({}, { compute: "dedicated" }), false);
});

test("the function's own options win over the app's, and those over athanor.json's", () => {
  const app = { memoryMb: 2048, timeoutS: 5, access: "token", retries: 2 };
  const project = { queue: { size: 7, maxWorkers: 3, ttlS: 60 } };
  const own = resolve({ kind: "endpoint", options: { timeoutS: 9, queue: { size: 50 } }, app, project });
  assert.equal(own.placement.memoryMb, 2048);
  assert.equal(own.timeoutS, 9);
  assert.equal(own.endpoint?.access, "token");
  assert.equal(own.retries.max, 2);
  assert.deepEqual(own.queue, { size: 50, maxWorkers: 3, ttlS: 60 });
  assert.equal(own.concurrency, 3);
  const undefinedHidesNothing = resolve({ kind: "endpoint", options: { timeoutS: undefined }, app });
  assert.equal(undefinedHidesNothing.timeoutS, 5);
});

test("jobs at a time: over all replicas by concurrency, per replica by queue.maxWorkers, each from the nearest that says it", () => {
  type Levels = { own?: object; app?: object; project?: object };
  const cases: [Levels, { limit: number | null; workers: number }][] = [
    [{}, { limit: null, workers: 1 }],
    // One replica can hold all that may run.
    [{ own: { concurrency: 4 } }, { limit: 4, workers: 4 }],
    [{ own: { concurrency: 4, queue: { maxWorkers: 2 } } }, { limit: 4, workers: 2 }],
    [{ own: { queue: { maxWorkers: 3 } } }, { limit: null, workers: 3 }],
    [
      { own: { concurrency: 4 }, project: { queue: { maxWorkers: 9 } } },
      { limit: 4, workers: 4 },
    ],
    [
      { own: { concurrency: 4 }, app: { queue: { maxWorkers: 2 } } },
      { limit: 4, workers: 4 },
    ],
    [
      { own: { queue: { size: 7 } }, app: { queue: { maxWorkers: 2 }, concurrency: 8 } },
      { limit: 8, workers: 2 },
    ],
    [{ app: { concurrency: 8 } }, { limit: 8, workers: 8 }],
    [{ project: { queue: { maxWorkers: 9 } } }, { limit: null, workers: 9 }],
    [{ own: { batch: { maxSize: 16 } } }, { limit: null, workers: 16 }],
    [{ own: { batch: { maxSize: 16 }, concurrency: 64 } }, { limit: 64, workers: 64 }],
    [{ own: { batch: { maxSize: 16 }, queue: { maxWorkers: 32 } } }, { limit: null, workers: 32 }],
    [
      { own: { batch: { maxSize: 16 } }, project: { queue: { maxWorkers: 1 } } },
      { limit: null, workers: 16 },
    ],
  ];
  for (const [{ own = {}, app = {}, project = {} }, expected] of cases) {
    const kinds = [
      { kind: "function", options: own },
      { kind: "endpoint", options: { useQueue: true, ...own } },
    ] as const;
    for (const given of kinds) {
      const { concurrency, queue, limits } = resolve({ ...given, app, project });
      const found = { limit: limits.concurrency, workers: concurrency };
      assert.deepEqual(found, expected, JSON.stringify({ own, app, project }));
      assert.equal(queue?.maxWorkers, concurrency);
    }
  }
});

test("a queue of an app says what its queues are like, and makes no endpoint queued", () => {
  const app = { queue: { size: 7, ttlS: 60 } };
  assert.equal(resolve({ kind: "endpoint", app }).queue, null);
  const own = { queue: { size: 9 } };
  assert.deepEqual(resolve({ kind: "function", options: own, app }).queue, { size: 9, maxWorkers: 1, ttlS: 60 });
});

test("limits of jobs, from the function or its app", () => {
  const options = { keyConcurrency: 2, rateLimit: { limit: 10, perS: 60 }, priority: -5, expireS: 30 };
  for (const given of [{ options }, { app: options }]) {
    const { limits, priority, expireS } = resolve({ kind: "function", ...given });
    assert.deepEqual(limits, { concurrency: null, keyConcurrency: 2, rate: { limit: 10, perS: 60 } });
    assert.deepEqual([priority, expireS], [-5, 30]);
  }
  assert.equal(resolve({ kind: "endpoint", app: options }).limits.rate, null);
  const events = { window: 5, windowBytes: 4096 };
  assert.deepEqual(resolve({ kind: "function", options: { events } }).events, events);
});

test("a schedule is cron in UTC, in a zone, or a period", () => {
  const schedule = (given: unknown) => resolve({ kind: "function", options: { schedule: given } }).schedule;
  const cron = { type: "cron", cron: "0 3 * * *", timeZone: "UTC", missed: "run_once" };
  assert.deepEqual(schedule("0 3 * * *"), cron);
  assert.deepEqual(schedule({ cron: "0 3 * * *", timeZone: undefined, everyS: undefined }), cron);
  const zoned = { cron: "0 3 * * *", timeZone: "Europe/Berlin", missed: "skip" };
  assert.deepEqual(schedule(zoned), { type: "cron", ...zoned });
  assert.deepEqual(schedule({ everyS: 90 }), { type: "every", everyS: 90, missed: "run_once" });
});

test("a retry policy keeps its numbers; its code is not in the spec", () => {
  const { retries } = resolve({ kind: "function", options: { retries: { max: 2, retryOn: () => true } } });
  assert.deepEqual(retries, { max: 2, delayS: 1, backoff: 2, maxDelayS: 300, jitter: 0.1 });
});

test("a batch waits 10 ms unless it says otherwise", () => {
  const batch = (given: object) => resolve({ kind: "function", options: { batch: given } }).batch;
  assert.deepEqual(batch({ maxSize: 8 }), { maxSize: 8, waitMs: 10 });
  assert.deepEqual(batch({ maxSize: 8, waitMs: 0 }), { maxSize: 8, waitMs: 0 });
});

test("a GPU by name is one of them, and cors true is any origin", () => {
  const { placement, endpoint } = resolve({ kind: "endpoint", options: { gpu: "H100", cors: true } });
  assert.deepEqual(placement.gpu, ["H100"]);
  assert.equal(placement.gpuCount, 1);
  assert.deepEqual(endpoint?.cors?.origins, ["*"]);
  assert.equal(endpoint?.cors?.credentials, false);
});

test("minReplicas alone raises maxReplicas, and the order of env does not matter", () => {
  const { minReplicas, maxReplicas, placement } = resolve({
    kind: "function",
    options: { minReplicas: 3, env: { B: "2", A: "1" } },
  });
  assert.deepEqual([minReplicas, maxReplicas], [3, 3]);
  assert.equal(JSON.stringify(placement.env), '{"A":"1","B":"2"}');
});

test("what is wrong is named with its value and what is allowed", () => {
  const cases: [Partial<OptionSources> & { kind: OptionSources["kind"] }, RegExp][] = [
    [
      { kind: "function", options: { memory: 1 } },
      /function swap-face: there is no option memory; there are cpu, memoryMb,/,
    ],
    [{ kind: "function", options: { methods: ["GET"] } }, /there is no option methods/],
    [
      { kind: "function", options: { memoryMb: "1024" } },
      /memoryMb is "1024", but must be a whole number of MiB from 64/,
    ],
    [{ kind: "function", options: { timeoutS: 0 } }, /timeoutS is 0, but must be a number of seconds over 0/],
    [{ kind: "function", options: { timeoutS: Number.NaN } }, /timeoutS is NaN/],
    [{ kind: "function", options: { retries: { delayS: 1 } } }, /retries is \{"delayS":1\}/],
    [
      { kind: "function", options: { retries: { max: 1, jitter: 2 } } },
      /retries\.jitter is 2, but must be a number from 0 to 1/,
    ],
    [{ kind: "function", options: { events: { size: 1 } } }, /events has no size, but window, windowBytes/],
    [{ kind: "function", options: { retries: { max: 1, retryOn: "always" } } }, /retries\.retryOn is "always"/],
    [
      { kind: "function", options: { priority: 1.5 } },
      /priority is 1\.5, but must be a whole number from -1000 to 1000/,
    ],
    [
      { kind: "function", options: { rateLimit: { limit: 5 } } },
      /rateLimit is \{"limit":5\}, but must be \{limit, perS\}/,
    ],
    [{ kind: "function", options: { expireS: 0 } }, /expireS is 0/],
    [{ kind: "function", options: { schedule: {} } }, /schedule is \{\}, but must be a cron expression, \{cron, /],
    [{ kind: "function", options: { schedule: { cron: "* * * * *", everyS: 1 } } }, /schedule is .*, but must be/],
    [{ kind: "function", options: { schedule: { everyS: 60, timeZone: "UTC" } } }, /schedule is .*, but must be/],
    [{ kind: "function", options: { schedule: { everyS: 60, missed: "all" } } }, /schedule\.missed is "all"/],
    [{ kind: "endpoint", app: { schedule: "0 3 * * *" } }, /the app: there is no option schedule/],
    [{ kind: "function", app: { batch: { maxSize: 2 } } }, /the app: there is no option batch/],
    [{ kind: "function", options: { batch: { waitMs: 5 } } }, /batch is \{"waitMs":5\}/],
    [
      { kind: "function", options: { batch: { maxSize: 8 }, queue: { maxWorkers: 4 } } },
      /queue\.maxWorkers is 4, which is less than batch\.maxSize, 8/,
    ],
    [
      { kind: "function", options: { batch: { maxSize: 8 }, concurrency: 4 } },
      /concurrency is 4, .* batch\.maxSize, 8/,
    ],
    [{ kind: "endpoint", options: { batch: { maxSize: 8 } } }, /batch is given, but the endpoint is synchronous/],
    [
      { kind: "endpoint", options: { rateLimit: { limit: 1, perS: 1 } } },
      /rateLimit is given, but the endpoint is sync/,
    ],
    [
      { kind: "function", options: { minReplicas: 3, maxReplicas: 2 } },
      /minReplicas is 3, which is more than maxReplicas, 2/,
    ],
    [{ kind: "function", options: { input: {} } }, /input is \{\}, but must be a Standard Schema/],
    [{ kind: "endpoint", options: { queue: {}, useQueue: false } }, /queue is given, but useQueue is false/],
    [{ kind: "endpoint", options: { cors: { credentials: true } } }, /credentials for any origin/],
    [{ kind: "endpoint", options: { methods: [] } }, /methods is \[\]/],
    [{ kind: "endpoint", options: 1 as unknown as object }, /options are 1, but must be an object/],
    [{ kind: "endpoint", app: { cpus: 2 } }, /the app: there is no option cpus/],
    [{ kind: "endpoint", project: { queue: { sizes: 2 } } }, /athanor\.json: queue has no sizes/],
  ];
  for (const [given, message] of cases) assert.throws(() => resolve(given), { code: "option_invalid", message });
});

test("values of env are never shown", () => {
  const options = { env: { API_KEY: "s3cret", "not a name": "x" } };
  assert.throws(
    () => resolve({ kind: "function", options }),
    (error: Error) => error.message.includes("env is not right") && !error.message.includes("s3cret"),
  );
  assert.throws(() => resolve({ kind: "function", options: { env: { ATHANOR_TOKEN: "x" } } }), {
    code: "option_invalid",
  });
});

test("paths are exact and never the app's own documentation", () => {
  const path = (text: string) => resolve({ kind: "endpoint", path: text }).endpoint?.path;
  for (const fine of ["/", "/a", "/a/b-c.d~e", "/docsy", "/a:b"]) assert.equal(path(fine), fine);
  for (const wrong of [
    "",
    "a",
    "//",
    "/a/",
    "/a//b",
    "/a/../b",
    "/a?b",
    "/a b",
    "/{id}",
    "/ü",
    "/%41",
    "/docs",
    "/docs/x",
    "/openapi.json",
  ]) {
    assert.throws(() => path(wrong), { code: "option_invalid" }, wrong);
  }
});

test("the app's compute", () => {
  assert.equal(resolveCompute({}), "dedicated");
  assert.equal(resolveCompute({ compute: "serverless" }), "serverless");
  assert.throws(() => resolveCompute({ compute: "both" }), { code: "option_invalid" });
});
