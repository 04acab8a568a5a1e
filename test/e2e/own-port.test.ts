/** A program that insists on its port: no two of it can run on one machine, and still it is deployed anew without a dropped request. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "../../src/build/index.ts";
import { startTestServer } from "../harness/server.ts";
import { temporaryFolder } from "./cli-process.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** The port stands nowhere where it could be seen and mapped. */
const appOf = (port: number, version: number): string => `
import { App } from "athanor";
const app = new App("stubborn");
const program = "require('node:http').createServer((q, s) => s.end('version ${version}')).listen(${port - 1} + 1, '127.0.0.1')";
export const web = app.webServer(${port}, { path: "/", drainTimeoutS: 1, command: [process.execPath, "-e", program] });
`;

test("a program with a port of its own is deployed anew while requests come, and none is dropped", async () => {
  await using folder = await temporaryFolder();
  await using server = await startTestServer();
  const port = await freePort();
  const entry = join(folder.path, "app.ts");
  const deploy = async (version: number): Promise<void> => {
    await writeFile(entry, appOf(port, version));
    await server.api.deploy(await build({ entry }));
  };
  const ask = async (): Promise<string> => {
    const response = await fetch(`${server.url}/stubborn/`);
    return `${response.status} ${await response.text()}`;
  };
  await writeFile(join(folder.path, "package.json"), '{"type": "module"}');
  await deploy(1);
  assert.equal(await ask(), "200 version 1");
  const answers = new Set<string>();
  let deploying = true;
  const asking = Array.from({ length: 3 }, async () => {
    while (deploying) answers.add(await ask());
  });
  try {
    for (const version of [2, 3]) {
      await deploy(version);
      assert.equal(await ask(), `200 version ${version}`);
    }
  } finally {
    deploying = false;
    await Promise.all(asking);
  }
  assert.deepEqual([...answers].toSorted(), ["200 version 1", "200 version 2", "200 version 3"]);
});
