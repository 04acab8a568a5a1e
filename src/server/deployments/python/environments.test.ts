import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { noPython, uv } from "../../../../test/harness/python.ts";
import { serviceSpec } from "../../../../test/harness/specs.ts";
import { digestUpload } from "../../../protocol/digest.ts";
import { AthanorError, type ErrorCode } from "../../../protocol/errors.ts";
import type { AppSpec } from "../../../protocol/spec.ts";
import type { Log } from "../../log.ts";
import { interpreterOf } from "../../replicas/deployment-folder.ts";
import type { DeploymentRecord } from "../../store/store.ts";
import { DeploymentFolders } from "../folders.ts";
import { PythonEnvironments } from "./environments.ts";
import { withServer } from "./requirements.ts";
import { uvEnvironment, withoutCredentials } from "./uv.ts";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
/** A package of one module, and one that stands in for gunicorn, as wheels in a folder: no index is asked. */
const MAKE_WHEELS = `
import sys, zipfile
for name, version in (("tiny", "1.0"), ("gunicorn", "27.0.1")):
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w") as wheel:
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{name}.py", "answer = 7\\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
`;

let folder: string;
let wheels: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "athanor-python-"));
  wheels = join(folder, "wheels");
  mkdirSync(wheels);
  if (noPython === false) execFileSync("python3", ["-c", MAKE_WHEELS, wheels]);
});
after(() => rmSync(folder, { recursive: true, force: true }));

function appOf(requirements: string[], pythonVersion: string | null = null): AppSpec {
  const python = { target: "main:app", paths: ["."], requirements, pythonVersion, workers: 1 };
  const functions = [serviceSpec("web", "wsgi", { python }), serviceSpec("second", "wsgi", { path: "/other", python })];
  return { specVersion: 1, name: "demo", compute: "dedicated", functions, $defs: {} };
}

async function environmentsAt(
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<{ root: string; environments: PythonEnvironments }> {
  const root = join(folder, name);
  const environments = new PythonEnvironments({ root, log: silent, env });
  await environments.start();
  return { root, environments };
}

async function refused(environments: PythonEnvironments, app: AppSpec, code: ErrorCode, detail: RegExp): Promise<void> {
  await assert.rejects(environments.install(app), (error) => {
    assert.ok(error instanceof AthanorError, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, detail);
    return true;
  });
}

const hashesIn = (root: string): string[] => readdirSync(root).filter((name) => name !== "uv");

describe("Python environments", () => {
  it("are not made without uv, and say so", async () => {
    const { environments } = await environmentsAt("no-uv", { PATH: folder });
    await refused(environments, appOf(["tiny"]), "uv_not_found", /uv was not found on the server's PATH/);
    const elsewhere = await environmentsAt("no-uv-there", { PATH: folder, ATHANOR_UV: join(folder, "nothing") });
    await refused(elsewhere.environments, appOf(["tiny"]), "uv_not_found", /ATHANOR_UV is .*nothing/);
  });

  it("are not made without a Python that fits", { skip: noPython }, async () => {
    const none = await environmentsAt("no-python", { PATH: folder, ATHANOR_UV: uv ?? "" });
    await refused(
      none.environments,
      appOf(["tiny"]),
      "python_not_found",
      /needs Python >=3\.10, and the server has none/,
    );
    const { environments } = await environmentsAt("old-python", { ...process.env, ATHANOR_UV: uv ?? "" });
    await refused(environments, appOf(["tiny"], "3.99"), "python_not_found", /needs Python 3\.99/);
  });

  it("that do not install say why, and leave nothing", { skip: noPython }, async () => {
    const { root, environments } = await environmentsAt("fails", {
      ...process.env,
      ATHANOR_UV: uv ?? "",
      UV_NO_INDEX: "1",
    });
    await refused(
      environments,
      appOf(["no-such-package==9.9"]),
      "dependency_install_failed",
      /uv ended with[\s\S]*no-such-package/,
    );
    assert.deepEqual(hashesIn(root), []);
  });

  it("are made again, with the deployment's links, where they are gone", { skip: noPython }, async () => {
    const env = { ...process.env, ATHANOR_UV: uv ?? "", UV_NO_INDEX: "1", UV_FIND_LINKS: wheels };
    const dataDir = join(folder, "data");
    const blobs = new Map<string, Uint8Array>();
    const folders = new DeploymentFolders({
      dataDir,
      log: silent,
      env,
      blobs: {
        put: async (bytes) => {
          blobs.set("blob", bytes);
          return "blob";
        },
        get: async (name) => blobs.get(name) ?? null,
      },
    });
    await folders.start();
    const main = { path: "pages/main.py", executable: false, encoding: "utf8", content: "app = 1\n" } as const;
    const content = { spec: appOf(["tiny"]), bundle: "", sourceMap: "{}", dependencies: null, files: [main] };
    const upload = { ...content, digest: digestUpload(content) };
    const uploadBlob = await folders.write(upload, null);
    const dir = join(folders.root, upload.digest);
    const answer = (): string => {
      const at = { cwd: join(dir, "files"), encoding: "utf8" } as const;
      return execFileSync(interpreterOf(dir, "web"), ["-c", "import pages.main, tiny; print(tiny.answer)"], at).trim();
    };
    assert.deepEqual([folders.has(upload.digest), answer()], [true, "7"]);
    for (const hash of hashesIn(join(dataDir, "python"))) rmSync(join(dataDir, "python", hash), { recursive: true });
    assert.equal(folders.has(upload.digest), false);
    await folders.ensure({ digest: upload.digest, uploadBlob, deployment: 1, app: "demo" } as DeploymentRecord);
    assert.deepEqual([folders.has(upload.digest), answer()], [true, "7"]);
    await folders.stop();
  });

  it("are made once, work, and go when no deployment needs them", { skip: noPython }, async () => {
    const env = { ...process.env, ATHANOR_UV: uv ?? "", UV_NO_INDEX: "1", UV_FIND_LINKS: wheels };
    const { root, environments } = await environmentsAt("once", env);
    const [links, again] = await Promise.all([
      environments.install(appOf(["tiny"])),
      environments.install(appOf(["tiny"])),
    ]);
    assert.deepEqual(links, again);
    assert.deepEqual([...links.keys()], ["python/web", "python/second"]);
    assert.equal(hashesIn(root).length, 1);
    const [environment = ""] = links.values();
    const python = join(environment, "bin/python");
    const said = execFileSync(python, ["-c", "import gunicorn, tiny; print(tiny.answer, tiny.__cached__)"], {
      encoding: "utf8",
    });
    const [answer, compiled = ""] = said.trim().split(" ");
    assert.equal(answer, "7");
    assert.ok(existsSync(compiled), "compiled at the installation");
    const deployment = join(folder, "deployment");
    mkdirSync(join(deployment, "python"), { recursive: true });
    symlinkSync(environment, join(deployment, "python/web"));
    assert.deepEqual(environments.takeUnused([deployment]), []);
    assert.equal(environments.takeUnused([]).length, 2, "the environment, and uv's own folder");
    assert.deepEqual(
      readdirSync(root).filter((name) => !name.startsWith(".new-")),
      [],
    );
    await environments.stop();
  });
});

describe("requirements", () => {
  it("get the server that runs the app, unless they name it", () => {
    assert.deepEqual(withServer("wsgi", ["flask"]), ["flask", "gunicorn==27.0.1"]);
    assert.deepEqual(withServer("wsgi", ["flask", "Gunicorn[gevent]>=20"]), ["flask", "Gunicorn[gevent]>=20"]);
    const asgi = withServer("asgi", ["fastapi"]);
    assert.match(
      asgi.join("\n"),
      /^fastapi\nuvicorn==[\d.]+\nwebsockets==.*\nwebsockets==.*\nhttptools==.*\nuvloop==.*$/,
    );
    assert.deepEqual(withServer("asgi", ["uvicorn==0.30.0", "uvloop<1"]).slice(2), ["websockets", "httptools"]);
  });
});

describe("uv", () => {
  it("sees how to reach its index, and nothing else of the server's", () => {
    const passed = uvEnvironment(
      {
        PATH: "/bin",
        HOME: "/home/x",
        https_proxy: "http://proxy",
        UV_INDEX_STRATEGY: "unsafe-best-match",
        PIP_INDEX_URL: "https://index.example/simple",
        SSL_CERT_FILE: "/ca.pem",
        UV_PYTHON_DOWNLOADS: "automatic",
        ATHANOR_TOKEN: "secret",
        PYTHONPATH: "/elsewhere",
        VIRTUAL_ENV: "/elsewhere",
      },
      "/data/uv",
    );
    assert.deepEqual(passed, {
      PATH: "/bin",
      HOME: "/data/uv",
      https_proxy: "http://proxy",
      UV_INDEX_STRATEGY: "unsafe-best-match",
      UV_DEFAULT_INDEX: "https://index.example/simple",
      SSL_CERT_FILE: "/ca.pem",
      UV_CACHE_DIR: "/data/uv/cache",
      UV_PYTHON_DOWNLOADS: "never",
      UV_NO_PROGRESS: "1",
      NO_COLOR: "1",
    });
  });

  it("has the credentials of an index taken out of what it says", () => {
    const said = "error: https://me:s3cret@index.example/simple/flask/ and https://token@b.example/: 401";
    assert.equal(
      withoutCredentials(said),
      "error: https://***@index.example/simple/flask/ and https://***@b.example/: 401",
    );
  });
});
