import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "../../src/build/index.ts";
import { digestUpload } from "../../src/protocol/digest.ts";
import { AthanorError } from "../../src/protocol/errors.ts";
import { type DeploymentUpload, VENDOR_FILE } from "../../src/protocol/spec.ts";
import { Api } from "../../src/sdk/client/api.ts";
import { startTestServer, type TestServer } from "../harness/server.ts";

let upload: DeploymentUpload;
before(async () => {
  upload = await build({ entry: join(import.meta.dirname, "apps/other.ts") });
  assert.ok(upload.vendor?.content);
});

function versioned(version: string): DeploymentUpload {
  const other = { ...upload, bundle: upload.bundle.replace("version one", `version ${version}`) };
  return { ...other, digest: digestUpload(other) };
}

const named = (app: string): DeploymentUpload => {
  const bundle = upload.bundle.replace('App("other")', `App("${app}")`);
  assert.ok(bundle !== upload.bundle);
  const other = { ...upload, bundle, spec: { ...upload.spec, name: app } };
  return { ...other, digest: digestUpload(other) };
};

describe("deployments that have their packages in a vendor file", () => {
  let server: TestServer;
  let api: Api;
  before(async () => {
    server = await startTestServer();
    api = new Api({ url: server.url, token: server.token });
  });
  after(() => server?.[Symbol.asyncDispose]());

  const show = async (app = "other"): Promise<unknown> => (await fetch(`${server.url}/${app}/version`)).json();
  const folderOf = ({ digest }: DeploymentUpload): string => join(server.dataDir, "deployments", digest);
  const vendorOf = (made: DeploymentUpload): string =>
    dirname(resolve(folderOf(made), readlinkSync(join(folderOf(made), VENDOR_FILE))));

  /** Sent as if the server had its vendor. */
  async function sendBare(made: DeploymentUpload): Promise<{ status: number; code: string | undefined }> {
    const vendor = { sha256: made.vendor?.sha256, content: null };
    const body = JSON.stringify({ ...made, vendor });
    const response = await server.api.fetch("/v1/deployments", {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    return { status: response.status, code: ((await response.json()) as { code?: string }).code };
  }

  it("are sent without it where the app has it on the server, and with it where not", async () => {
    assert.deepEqual(await sendBare(upload), { status: 409, code: "vendor_missing" });
    assert.equal((await api.deploy(upload)).deployment.status, "live");
    assert.equal((await sendBare(versioned("two"))).status, 201);
    assert.equal(await show(), "version two");
    assert.deepEqual(await sendBare(named("third")), { status: 409, code: "vendor_missing" });
    await api.deploy(named("third"));
    assert.equal(await show("third"), "version one");
    assert.notEqual(vendorOf(named("third")), vendorOf(upload), "two apps do not share what either could change");
    assert.equal(vendorOf(versioned("two")), vendorOf(upload));
  });

  it("are refused where the vendor is not what its hash says", async () => {
    const made = named("fourth");
    const { sha256, content } = made.vendor ?? {};
    assert.ok(sha256 && content);
    await assert.rejects(
      api.deploy({ ...made, vendor: { sha256, content: { ...content, code: `${content.code}\n;` } } }),
      (error) =>
        error instanceof AthanorError && error.code === "deployment_invalid" && /vendor\.sha256/.test(error.detail),
    );
  });

  it("run where what was compiled is damaged", async () => {
    const compiled = join(vendorOf(upload), "compile-cache");
    // As a deployment that has run would have left it.
    rmSync(compiled, { recursive: true, force: true });
    const cache = join(folderOf(versioned("two")), "compile-cache");
    while (!existsSync(cache) || filesIn(cache).length === 0) await show();
    cpSync(cache, compiled, { recursive: true });
    for (const file of filesIn(compiled)) writeFileSync(file, Buffer.alloc(statSync(file).size, "damage"));
    await api.deploy(versioned("three"));
    assert.equal(await show(), "version three");
  });

  it("are made again from what was stored, where folder and vendor are gone", async () => {
    rmSync(vendorOf(upload), { recursive: true });
    const { deployment } = await api.rollback("deployments:1");
    assert.equal(deployment.status, "live");
    assert.equal(await show(), "version one");
  });
});

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
