import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, it } from "node:test";
import { serviceSpec } from "../../../test/harness/specs.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { AppSpec, PythonSpec } from "../../protocol/spec.ts";
import { completePython } from "./index.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** What becomes of a declaration beside these files. */
function completed(files: Record<string, string>, given: Partial<PythonSpec> = {}): PythonSpec & { read: string[] } {
  const dir = mkdtempSync(path.join(tmpdir(), "athanor-build-"));
  folders.push(dir);
  for (const [name, text] of Object.entries({ "main.py": "app = 1\n", ...files })) {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    writeFileSync(path.join(dir, name), text);
  }
  const python = { target: "main:app", paths: ["."], requirements: [], pythonVersion: null, workers: 1, ...given };
  const fn = serviceSpec("web", "asgi", { python });
  const spec: AppSpec = { specVersion: 1, name: "demo", compute: "dedicated", functions: [fn], $defs: {} };
  const read: string[] = [];
  completePython(spec, dir, read);
  return { ...(fn.service?.python as PythonSpec), read: read.map((file) => path.relative(dir, file)) };
}

function refused(files: Record<string, string>, given: Partial<PythonSpec>, detail: RegExp): void {
  assert.throws(
    () => completed(files, given),
    (error) => {
      assert.ok(error instanceof AthanorError && error.code === "build_failed", String(error));
      assert.match(error.detail, detail);
      return true;
    },
  );
}

describe("requirements", () => {
  it("come from requirements.txt, with what it includes, without comments", () => {
    const { requirements, read } = completed({
      "requirements.txt": `\ufeff# the web
flask>=3   # pinned later
-r requirements/base.txt
tomli>=2 ; python_version < "3.11"
pinned==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
--extra-index-url=https://index.example.com/simple
`,
      "requirements/base.txt": "asgiref\n--requirement more.txt\nflask>=3\n",
      "requirements/more.txt": "Zope",
    });
    assert.deepEqual(requirements, [
      "--extra-index-url https://index.example.com/simple",
      "Zope",
      "asgiref",
      "flask>=3",
      "pinned==1.0 --hash=sha256:aa --hash=sha256:bb",
      'tomli>=2 ; python_version < "3.11"',
    ]);
    assert.deepEqual(read, [
      "requirements.txt",
      "pyproject.toml",
      "pyproject.toml",
      "requirements/base.txt",
      "requirements/more.txt",
    ]);
  });

  it("come from pyproject.toml where there is no requirements.txt, and the Python with them", () => {
    const pyproject = '[project]\nname = "x"\nrequires-python = ">=3.11"\ndependencies = ["flask>=3", "a[b]==1"]\n';
    const only = completed({ "pyproject.toml": pyproject });
    assert.deepEqual([only.requirements, only.pythonVersion], [["a[b]==1", "flask>=3"], ">=3.11"]);
    const both = completed({ "pyproject.toml": pyproject, "requirements.txt": "starlette\n" });
    assert.deepEqual([both.requirements, both.pythonVersion], [["starlette"], ">=3.11"]);
    const given = completed({ "pyproject.toml": pyproject }, { pythonVersion: "3.12" });
    assert.equal(given.pythonVersion, "3.12");
    assert.deepEqual(completed({ "pyproject.toml": "[tool.other]\nx = 1\n" }).requirements, []);
  });

  it("come from the file that is named, and the packages beside it", () => {
    const files = {
      "requirements.txt": "flask\n",
      "live.txt": "starlette\n",
      "other.toml": '[project]\ndependencies = ["x"]\n',
    };
    assert.deepEqual(completed(files, { requirements: ["-r live.txt", "httpx"] }).requirements, ["httpx", "starlette"]);
    assert.deepEqual(completed(files, { requirements: ["-r other.toml"] }).requirements, ["x"]);
    assert.deepEqual(completed(files, { requirements: ["httpx"] }).requirements, ["flask", "httpx"]);
    assert.deepEqual(completed({}, { requirements: ["httpx"] }).requirements, ["httpx"]);
    refused({}, { requirements: ["-r live.txt"] }, /app\.ts:1: web: there is no live\.txt/);
  });

  it("that a server cannot install are refused, with their line", () => {
    const lines: [line: string, detail: RegExp][] = [
      ["-e .", /requirements\.txt:2: "-e \." cannot be installed.*options only/],
      ["./package", /begin with the name of a package/],
      ["x @ file:///tmp/x.whl", /must not name a file/],
      ["-c limits.txt", /options only/],
      ["--index-url https://me:secret@index.example.com/", /no credentials/],
    ];
    for (const [line, detail] of lines) refused({ "requirements.txt": `flask\n${line}\n` }, {}, detail);
    refused({ "requirements.txt": "-r missing.txt" }, {}, /requirements\.txt: there is no missing\.txt/);
    refused({ "requirements.txt": "-r requirements.txt" }, {}, /includes itself/);
    refused({ "requirements.txt": "-r ../../etc/passwd" }, {}, /outside of the project/);
    refused(
      { "pyproject.toml": '[project]\ndependencies = ["-e ."]' },
      {},
      /pyproject\.toml: \[project\] dependencies: "-e \."/,
    );
    refused({ "pyproject.toml": "[project\n" }, {}, /pyproject\.toml cannot be read: Invalid TOML/);
    refused({ "pyproject.toml": '[project]\ndynamic = ["dependencies"]' }, {}, /dynamic/);
  });
});

describe("the module", () => {
  it("is a file, a package, in src, or in the folder that is given", () => {
    assert.deepEqual(completed({}).paths, ["."]);
    assert.deepEqual(completed({ "pkg/__init__.py": "app: object = 1\n" }, { target: "pkg:app" }).paths, ["."]);
    assert.deepEqual(completed({ "src/pkg/web.py": "def make(): ...\n" }, { target: "pkg.web:make()" }).paths, [
      ".",
      "src",
    ]);
    assert.deepEqual(completed({ "api/web.py": "from x import *\n" }, { target: "web:app", paths: ["api"] }).paths, [
      "api",
    ]);
    assert.deepEqual(completed({ "api/src/web.py": "app = 1\n" }, { target: "web:app", paths: ["api"] }).paths, [
      "api",
      "api/src",
    ]);
    assert.deepEqual(completed({}, { target: "my_app.web:app", requirements: ["My.App>=1"] }).paths, ["."]);
  });

  it("that is not there, or has no such app, is refused", () => {
    refused(
      {},
      { target: "web.main:app" },
      /app\.ts:1: web: there is no module web\.main: neither web\/main\.py nor web\/main\/__init__\.py is in/,
    );
    refused({ "main.py": "application = 1\n" }, {}, /main\.py has no app, which main:app names/);
  });
});
