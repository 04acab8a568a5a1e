/** The chat example in a real browser: two pages talk through the gateway. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { chromium, type Page } from "playwright-core";
import { build } from "../../src/build/index.ts";
import { resolveConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/main.ts";
import { selfSigned } from "../harness/certificate.ts";
import { startTestServer } from "../harness/server.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
);
const skip = CHROMIUM === undefined ? "Chromium is not installed (Debian: chromium)" : false;
const ENTRY = join(import.meta.dirname, "../../examples/chat/app.ts");

const said = (page: Page, text: string): Promise<void> => page.locator("#said li", { hasText: text }).first().waitFor();

test("two pages chat, and see each other come and leave", { skip }, async () => {
  await using server = await startTestServer();
  await server.api.deploy(await build({ entry: ENTRY }));
  await chat(server.url);
});

test("and so over HTTP/2, on which a browser opens its WebSockets too", { skip }, async () => {
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "athanor-chat-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  const [tlsCert, tlsKey] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const { cert, key } = selfSigned(["localhost"]);
  await writeFile(tlsCert, cert);
  await writeFile(tlsKey, key, { mode: 0o600 });
  const flags = { port: 0, logLevel: "silent", data: join(folder, "data"), tlsCert, tlsKey };
  const server = await startServer(resolveConfig(flags, {}));
  undo.defer(() => server.stop());
  const deploy = request(`${server.url}/v1/deployments`, {
    ca: cert,
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${server.token}` },
  }).end(JSON.stringify(await build({ entry: ENTRY })));
  const [{ statusCode }] = (await once(deploy, "response")) as [IncomingMessage];
  assert.equal(statusCode, 201);
  await chat(server.url);
});

async function chat(url: string): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM as string,
    // As root, as CI mostly is, there is no sandbox.
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });
  try {
    const enter = async (name: string): Promise<Page> => {
      const page = await browser.newPage({ ignoreHTTPSErrors: true });
      await page.goto(`${url}/chat/`);
      await page.fill("#join input", name);
      await page.click("#join button");
      await said(page, `${name} has come in`);
      return page;
    };
    const say = async (page: Page, text: string): Promise<void> => {
      await page.fill("#say input", text);
      await page.click("#say button");
    };
    const ada = await enter("Ada");
    const bob = await enter("Bob");
    await said(ada, "Bob has come in");
    await say(bob, "Hello, Ada <b>κόσμε</b>");
    await said(ada, "Bob: Hello, Ada <b>κόσμε</b>");
    await say(ada, "Hello, Bob");
    await said(bob, "Ada: Hello, Bob");
    assert.match((await ada.textContent("#state")) ?? "", /You are in as Ada/);
    await bob.close();
    await said(ada, "Bob has left");
  } finally {
    await browser.close();
  }
}
