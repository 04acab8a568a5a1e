import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { endpointSpec } from "../../../test/harness/specs.ts";
import { digestUpload, digestVendor } from "../../protocol/digest.ts";
import { type DependencySet, type DeploymentUpload, VENDOR_FILE, type VendorContent } from "../../protocol/spec.ts";
import { COMPILE_CACHE_DIR } from "../replicas/deployment-folder.ts";
import { Vendors } from "./vendors.ts";

const CONTENT = { code: "export const packages = [];", sourceMap: "{}" };

function uploadOf(
  app: string,
  content: VendorContent = CONTENT,
  dependencies: DependencySet | null = null,
): DeploymentUpload {
  const upload = {
    spec: {
      specVersion: 1 as const,
      name: app,
      compute: "dedicated" as const,
      functions: [endpointSpec("f")],
      $defs: {},
    },
    bundle: "",
    sourceMap: "{}",
    vendor: { sha256: digestVendor(content), content },
    dependencies,
    files: [],
  };
  return { ...upload, digest: digestUpload(upload) };
}

/** As a client sends it that takes the server to have it. */
const bare = (upload: DeploymentUpload): DeploymentUpload => ({
  ...upload,
  vendor: { sha256: upload.vendor?.sha256 ?? "", content: null },
});

describe("vendor files", () => {
  let root: string;
  let vendors: Vendors;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), "athanor-vendors-"));
    vendors = new Vendors({ root: join(root, "vendors") });
    await vendors.start();
  });
  after(async () => {
    await vendors.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const installed = async (upload: DeploymentUpload): Promise<string> => {
    const dir = await vendors.install(upload, null);
    assert.ok(dir !== null);
    return dir;
  };

  /** The folder of a deployment that links to it and has run. */
  const deploymentOf = (dir: string, name: string): string => {
    const deployment = join(root, name);
    mkdirSync(join(deployment, COMPILE_CACHE_DIR), { recursive: true });
    symlinkSync(join(dir, VENDOR_FILE), join(deployment, VENDOR_FILE));
    writeFileSync(join(deployment, COMPILE_CACHE_DIR, "compiled"), name);
    return deployment;
  };

  it("are one for all deployments of an app, another for another app, content or set of packages", async () => {
    const first = await installed(uploadOf("one"));
    assert.equal(await installed({ ...uploadOf("one"), bundle: "other code" }), first);
    const others = await Promise.all([
      installed(uploadOf("two")),
      installed(uploadOf("one", { ...CONTENT, code: "export const packages = [0];" })),
      installed(uploadOf("one", CONTENT, { packages: { sharp: "0.34.0" }, lockfile: null })),
    ]);
    assert.equal(new Set([first, ...others]).size, 4);
  });

  it("need not be sent again to the app that has them, and to no other", async () => {
    const upload = uploadOf("sent");
    const missing = { code: "vendor_missing" };
    await assert.rejects(vendors.complete(bare(upload)), missing);
    const dir = await installed(upload);
    assert.deepEqual(await vendors.complete(bare(upload)), upload);
    await assert.rejects(vendors.complete(bare(uploadOf("sent-not"))), missing);
    writeFileSync(join(dir, VENDOR_FILE), "something else");
    await assert.rejects(vendors.complete(bare(upload)), missing);
  });

  it("keep what was compiled for the first deployment that ran, of those that link to them", async () => {
    const dir = await installed(uploadOf("compiled"));
    const compiled = (): string[] => readdirSync(dir).filter((name) => name === COMPILE_CACHE_DIR);
    await vendors.keepCompiled(dir, deploymentOf(await installed(uploadOf("another")), "foreign"));
    assert.deepEqual(compiled(), []);
    await vendors.keepCompiled(dir, deploymentOf(dir, "first"));
    await vendors.keepCompiled(dir, deploymentOf(dir, "second"));
    assert.equal(readFileSync(join(dir, COMPILE_CACHE_DIR, "compiled"), "utf8"), "first");
    assert.equal(readdirSync(dir).length, 3, "nothing half made is left");
  });

  it("go once no deployment links to them", async () => {
    const [kept, unused] = [await installed(uploadOf("kept")), await installed(uploadOf("unused"))];
    const removed = vendors.takeUnused([deploymentOf(kept, "keeps")]);
    await Promise.all(removed.map((dir) => rm(dir, { recursive: true })));
    await vendors.complete(bare(uploadOf("kept")));
    await assert.rejects(vendors.complete(bare(uploadOf("unused"))), { code: "vendor_missing" });
    assert.notEqual(kept, unused);
  });
});
