import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointSpec, functionSpec, serviceSpec } from "../../../test/harness/specs.ts";
import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { digestUpload } from "../../protocol/digest.ts";
import { AthanorError, type ErrorCode } from "../../protocol/errors.ts";
import type { DeploymentUpload, FunctionSpec, ShippedFile } from "../../protocol/spec.ts";
import { checkUpload } from "./upload.ts";

function uploadOf(functions: FunctionSpec[], changes: Partial<DeploymentUpload> = {}): DeploymentUpload {
  const upload = {
    spec: { specVersion: 1 as const, name: "demo", compute: "dedicated" as const, functions, $defs: {} },
    bundle: "export {};",
    sourceMap: "{}",
    dependencies: null,
    files: [],
    ...changes,
  };
  return { digest: digestUpload(upload), ...upload };
}

const good = (): FunctionSpec[] => [endpointSpec("hello", {}, { methods: ["GET"] }), functionSpec("infer")];

/** What a change anywhere in a good upload, with its digest made right again, is refused with. */
function refused(change: (upload: DeploymentUpload) => void, code: ErrorCode, detail: RegExp): void {
  const upload = structuredClone(uploadOf(good()));
  change(upload);
  upload.digest = digestUpload(upload);
  assert.throws(
    () => checkUpload(upload),
    (error) => {
      assert.ok(error instanceof AthanorError, String(error));
      assert.equal(error.code, code, error.detail);
      assert.match(error.detail, detail);
      return true;
    },
  );
}

const first = (upload: DeploymentUpload): FunctionSpec => upload.spec.functions[0] as FunctionSpec;

test("a good upload passes unchanged", () => {
  const upload = uploadOf(good());
  assert.equal(checkUpload(upload), upload);
  assert.deepEqual(
    checkUpload(JSON.parse(JSON.stringify(upload))),
    upload,
    "and so it does after its way over the wire",
  );
});

test("an upload whose digest is another's is refused", () => {
  const upload = uploadOf(good());
  upload.bundle += " ";
  assert.throws(
    () => checkUpload(upload),
    (error) => error instanceof AthanorError && error.code === "deployment_invalid" && /digest/.test(error.detail),
  );
});

test("names, paths and what must go together are checked", () => {
  refused((u) => Object.assign(u.spec, { name: "Demo" }), "deployment_invalid", /spec\.name/);
  refused((u) => Object.assign(u.spec, { name: "v1" }), "name_invalid", /"v1"/);
  refused((u) => Object.assign(first(u), { name: "a".repeat(31) }), "deployment_invalid", /functions\.0\.name/);
  refused((u) => Object.assign(first(u), { name: "infer" }), "name_collision", /"infer"/);
  refused((u) => u.spec.functions.push(endpointSpec("other", {}, { path: "/hello" })), "name_collision", /\/hello/);
  refused((u) => Object.assign(first(u).endpoint ?? {}, { path: "/docs" }), "name_collision", /gateway/);
  for (const path of ["hello", "/a//b", "/../x", "/a/..", "/a?b", "/a b", "/%2e", "/ä", ""]) {
    refused((u) => Object.assign(first(u).endpoint ?? {}, { path }), "deployment_invalid", /endpoint\.path/);
  }
  refused((u) => Object.assign(first(u), { endpoint: null }), "deployment_invalid", /hello/);
  refused((u) => Object.assign(u.spec.functions[1] ?? {}, { queue: null }), "deployment_invalid", /infer\.queue/);
  refused((u) => Object.assign(u.spec, { functions: [] }), "deployment_invalid", /functions/);
});

test("every field must be there, of its type, and known", () => {
  refused((u) => Object.assign(u.spec, { specVersion: 2 }), "deployment_invalid", /specVersion/);
  refused((u) => Object.assign(u.spec, { extra: 1 }), "deployment_invalid", /spec\.extra/);
  refused((u) => Object.assign(first(u), { timeoutS: "60" }), "deployment_invalid", /timeoutS/);
  refused((u) => Object.assign(first(u), { timeoutS: 0 }), "deployment_invalid", /timeoutS/);
  refused((u) => Object.assign(first(u), { concurrency: 1.5 }), "deployment_invalid", /concurrency/);
  refused((u) => Object.assign(first(u).placement, { env: { "A=B": "x" } }), "deployment_invalid", /env/);
  refused((u) => Object.assign(first(u).placement, { env: { A: "x\0" } }), "deployment_invalid", /env\.A/);
  refused((u) => Object.assign(first(u), { input: { mode: "magic" } }), "deployment_invalid", /input\.mode/);
  refused((u) => Object.assign(first(u), { input: { mode: "constructor" } }), "deployment_invalid", /input\.mode/);
  refused((u) => Object.assign(first(u), { input: null }), "deployment_invalid", /input\.mode/);
  refused(
    (u) => Object.assign(u, { dependencies: { packages: { "../x": "1.0.0" }, lockfile: null } }),
    "deployment_invalid",
    /packages/,
  );
  refused(
    (u) => Object.assign(u, { dependencies: { packages: { x: "file:/etc" }, lockfile: null } }),
    "deployment_invalid",
    /packages\.x/,
  );
  for (const field of ["name", "queue", "retries", "input", "output", "placement"] as const) {
    refused((u) => Reflect.deleteProperty(first(u), field), "deployment_invalid", new RegExp(field));
  }
});

test("files that ship stay in their folder, in order, within limits", () => {
  const file = (path: string, content = "x"): ShippedFile => ({ path, executable: false, encoding: "utf8", content });
  checkUpload(uploadOf(good(), { files: [file("app/main.py"), file("app/templates/ä b.html"), file("main.py")] }));
  for (const path of [
    "",
    "/etc/x",
    "../x",
    "a/../x",
    "a/..",
    ".",
    "./x",
    "a//b",
    "a/",
    "a\\b",
    "a\nb",
    "a\0b",
    "x".repeat(256),
  ]) {
    refused((u) => Object.assign(u, { files: [file(path)] }), "deployment_invalid", /files\.0\.path/);
  }
  refused((u) => Object.assign(u, { files: [file("b"), file("a")] }), "deployment_invalid", /sorted.*a follows b/);
  refused((u) => Object.assign(u, { files: [file("a"), file("a")] }), "deployment_invalid", /each once/);
  refused((u) => Object.assign(u, { files: [file("a"), file("a/b")] }), "deployment_invalid", /a is both a file and a/);
  const large = "x".repeat(SERVER_DEFAULTS.maxShippedBytes);
  refused((u) => Object.assign(u, { files: [file("a", large), file("b")] }), "deployment_invalid", /bytes; at most/);
});

test("Python requirements name packages, and nothing of the server's own", () => {
  const python = { target: "main:app", paths: ["."], requirements: [] as string[], pythonVersion: null, workers: 1 };
  const withLine = (line: string): FunctionSpec =>
    serviceSpec("web", "asgi", { python: { ...python, requirements: [line] } });
  const taken = [
    "flask",
    "uvicorn[standard]==0.54.0",
    'tomli>=2; python_version < "3.11"',
    "flask @ https://files.example.com/flask.whl",
    "flask @ git+ssh://git@example.com/flask.git",
    "--extra-index-url https://index.example.com/simple",
    "flask==3.1.0 --hash=sha256:aa --hash=sha256:bb",
  ];
  for (const line of taken) checkUpload(uploadOf([withLine(line)]));
  const lines = [
    "",
    "-r other.txt",
    "-e .",
    "--find-links /etc",
    "./package",
    "/etc/passwd",
    "file:///etc",
    "x @ file:///etc",
    "x @ ./y",
  ];
  lines.push(
    "flask\n-r /etc/passwd",
    "x @ https://me:secret@example.com/x.whl",
    "--index-url https://token@example.com/",
  );
  for (const line of lines) {
    refused((u) => u.spec.functions.push(withLine(line)), "deployment_invalid", /requirements\.0/);
  }
  for (const change of [
    { target: "main" },
    { target: "a b:c" },
    { paths: ["../x"] },
    { paths: [] },
    { pythonVersion: "; rm" },
  ]) {
    refused(
      (u) => u.spec.functions.push(serviceSpec("web", "asgi", { python: { ...python, ...change } })),
      "deployment_invalid",
      /service\.python/,
    );
  }
});

test("a schedule is one that can be kept", () => {
  const daily = { type: "cron", cron: "30 2 * * *", timeZone: "Europe/Berlin", missed: "skip" };
  const often = { type: "every", everyS: 90, missed: "run_once" };
  for (const schedule of [daily, often]) checkUpload(uploadOf([functionSpec("tick", { schedule } as object)]));
  const schedules: [schedule: unknown, detail: RegExp][] = [
    [{ ...daily, cron: "61 * * * *" }, /schedule: the cron expression "61 \* \* \* \*" is not valid/],
    [{ ...daily, timeZone: "Mars/Olympus" }, /schedule: the time zone/],
    [{ ...daily, missed: "twice" }, /schedule\.missed/],
    [{ ...daily, everyS: 1 }, /schedule\.everyS/],
    [{ ...often, everyS: 0.1 }, /schedule\.everyS/],
    [{ type: "moon" }, /schedule\.type/],
    ["@daily", /schedule\.type/],
  ];
  for (const [schedule, detail] of schedules)
    refused((u) => Object.assign(first(u), { schedule }), "deployment_invalid", detail);
});

test("what is no upload at all is refused too", () => {
  for (const value of [null, undefined, 1, "x", [], {}, { spec: null }]) {
    assert.throws(
      () => checkUpload(value),
      (error) => error instanceof AthanorError && error.code === "deployment_invalid",
    );
  }
});

test("a schema nested deeper than any walk should go is refused", () => {
  let schema: object = {};
  for (let depth = 0; depth < 5000; depth++) schema = { items: schema };
  const upload = uploadOf(good());
  Object.assign(upload.spec, { $defs: { Deep: schema } });
  assert.throws(
    () => checkUpload(upload),
    (error) => error instanceof AthanorError && error.code === "deployment_invalid" && /deep/.test(error.detail),
  );
});
