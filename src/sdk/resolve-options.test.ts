import assert from "node:assert/strict";
import { test } from "node:test";
import { type OptionSources, resolveCompute, resolveOptions } from "./resolve-options.ts";

function resolve(given: Partial<OptionSources> & { kind: OptionSources["kind"] }) {
  return resolveOptions({ name: "swap-face", path: null, options: {}, app: {}, project: {}, ...given });
}

test("a function has the defaults, a queue, and one job at a time", () => {
  assert.deepEqual(resolve({ kind: "function" }), {
    endpoint: null,
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
    retries: { max: 0, delayS: 1, backoff: 2, maxDelayS: 300, jitter: 0.1 },
    events: { window: 1000 },
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

test("a function's jobs at a time are its concurrency", () => {
  const { queue, concurrency } = resolve({
    kind: "function",
    options: { concurrency: 4 },
    project: { queue: { maxWorkers: 9 } },
  });
  assert.equal(concurrency, 4);
  assert.equal(queue?.maxWorkers, 4);
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
    [{ kind: "function", options: { events: { size: 1 } } }, /events has no size, but window/],
    [
      { kind: "function", options: { minReplicas: 3, maxReplicas: 2 } },
      /minReplicas is 3, which is more than maxReplicas, 2/,
    ],
    [{ kind: "function", options: { input: {} } }, /input is \{\}, but must be a Standard Schema/],
    [{ kind: "endpoint", options: { queue: {}, useQueue: false } }, /queue is given, but useQueue is false/],
    [{ kind: "endpoint", options: { queue: {}, concurrency: 2 } }, /give queue\.maxWorkers instead/],
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
