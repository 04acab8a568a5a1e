/** Every example is deployed by the CLI as it is in the repository, and does what it says. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { cp, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import sharp from "sharp";
import { noPython } from "../harness/python.ts";
import { ROOT, Stranger } from "../pack/stranger.ts";

const EXAMPLES = path.join(ROOT, "examples");
const PAGE = path.join(EXAMPLES, "reader", "page.png");

/** Their requirements are installed with uv. */
const PYTHON = new Set(["fastapi", "flask"]);

describe("examples", () => {
  let user: Stranger;
  let url: string;

  before(async () => {
    user = await Stranger.inCheckout();
    url = await user.up();
  });
  after(() => user[Symbol.asyncDispose]());

  const tested: Record<string, () => Promise<void>> = {
    async hono() {
      const api = `${url}/notes/api/notes`;
      const noted = await fetch(api, json({ text: "Buy coal for the furnace" }));
      assert.deepEqual([noted.status, await noted.json()], [201, { id: 1, text: "Buy coal for the furnace" }]);
      const listed = await fetch(api, { headers: { origin: "http://page.example" } });
      assert.equal(listed.headers.get("access-control-allow-origin"), "*");
      assert.equal(((await listed.json()) as unknown[]).length, 1);
      assert.equal(await (await fetch(`${api}/1/short`, { method: "POST" })).text(), "Buy coal for the fur…");
      const events = await fetch(`${api}/words`);
      assert.equal(events.headers.get("content-type"), "text/event-stream");
      assert.match(await events.text(), /^data: Buy\n\ndata: coal\n\n/);
      assert.equal((await fetch(`${url}/notes/api/nowhere`)).status, 404);
    },

    async express() {
      const health = await fetch(`${url}/guestbook/health`);
      assert.deepEqual(await health.json(), { status: "ok" });
      const form = new URLSearchParams({ text: "<b>Ada</b>" });
      const signed = await fetch(`${url}/guestbook/entries`, { method: "POST", body: form, redirect: "manual" });
      assert.deepEqual([signed.status, signed.headers.get("location")], [303, "/guestbook/"]);
      const page = await (await fetch(`${url}/guestbook/`)).text();
      assert.match(page, /<li>&lt;b>Ada&lt;\/b> \(from (?:::ffff:)?127\.0\.0\.1\)<\/li>/);
      assert.match(page, /action="\/guestbook\/entries"/);
    },

    async chat() {
      assert.match(await (await fetch(`${url}/chat/`)).text(), /<title>Chat<\/title>/);
      const socketUrl = `${url.replace("http", "ws")}/chat/socket`;
      const heard: { from: string | null; text: string }[] = [];
      const ada = new WebSocket(`${socketUrl}?name=Ada`);
      const enough = new Promise<void>((resolve, reject) => {
        ada.onerror = ada.onclose = reject;
        ada.onmessage = ({ data }) => {
          heard.push(JSON.parse(data));
          if (heard.length === 1) bob = new WebSocket(`${socketUrl}?name=Bob`);
          if (heard.length === 2) ada.send("Hello");
          if (heard.length === 3) bob?.close();
          if (heard.length === 4) resolve();
        };
      });
      let bob: WebSocket | undefined;
      await enough;
      ada.close();
      assert.deepEqual(heard, [
        { from: null, text: "Ada has come in" },
        { from: null, text: "Bob has come in" },
        { from: "Ada", text: "Hello" },
        { from: null, text: "Bob has left" },
      ]);
    },

    async sveltekit() {
      const page = await (await fetch(`${url}/shop/?name=Ada`)).text();
      assert.match(page, /<h1>Welcome, Ada!<\/h1>/);
      const script = /href="(\.\/_app\/[^"]+\.js)"/.exec(page)?.[1] ?? "";
      const { status, headers } = await fetch(new URL(script, `${url}/shop/`));
      assert.deepEqual([status, headers.get("content-type")], [200, "text/javascript"]);
      const body = new URLSearchParams({ what: "coal" });
      const ordered = await fetch(`${url}/shop/`, {
        method: "POST",
        body,
        headers: { origin: url, accept: "text/html" },
      });
      assert.match(await ordered.text(), /Thanks for coal, (?:::ffff:)?127\.0\.0\.1!/);
    },

    async hello() {
      const greeted = await fetch(`${url}/hello/greet`, json({ name: "Ada", times: 2 }));
      assert.deepEqual([greeted.status, await greeted.json()], [200, { message: "Hello, Ada! Hello, Ada!" }]);
      const refused = await fetch(`${url}/hello/greet`, json({ name: "", times: 11 }));
      assert.equal(refused.status, 422);
      const ran = await user.athanor(
        "run",
        "shout",
        "--app-name",
        "hello",
        "--payload",
        '{"args":["ahoy"]}',
        "--watch",
      );
      assert.match(ran, /AHOY!/);
    },

    async batch() {
      const texts = ["the sea is calm", "an oven that is hot", "winter nights are long"];
      const payload = JSON.stringify({ args: ["a hot oven", texts] });
      const found = await user.athanor("run", "search", "--app-name", "batch", "--payload", payload, "--json");
      const ranked = (JSON.parse(found) as { result: { text: string; likeness: number }[] }).result;
      assert.deepEqual([ranked.length, ranked[0]?.text], [3, "an oven that is hot"]);
      const listed = JSON.parse(await user.athanor("job", "list", "--app-name", "batch", "--json")) as {
        items: { job_id: string; function: string; parent_id: string | null }[];
      };
      const embedded = listed.items.filter((job) => job.function === "embed");
      assert.deepEqual(new Set(embedded.map((job) => job.parent_id !== null)), new Set([true]));
      assert.equal(embedded.length, 4);
      // All four were in one call of the handler.
      assert.match(await user.athanor("job", "logs", embedded[0]?.job_id ?? ""), /^4 texts$/m);
    },

    async thumbnails() {
      const form = new FormData();
      form.set("photo", new Blob([await readFile(PAGE)]), "page.png");
      form.set("width", "200");
      const headers = { accept: "image/webp" };
      const response = await fetch(`${url}/thumbnails/thumbnail`, { method: "POST", body: form, headers });
      const bytes = new Uint8Array(await response.arrayBuffer());
      assert.equal(response.status, 200, new TextDecoder().decode(bytes.subarray(0, 500)));
      const { format, width } = await sharp(bytes).metadata();
      assert.deepEqual({ format, width }, { format: "webp", width: 200 });
    },

    async reader() {
      const form = new FormData();
      form.set("page", new Blob([await readFile(PAGE)]), "page.png");
      const response = await fetch(`${url}/reader/read`, {
        method: "POST",
        body: form,
        headers: { prefer: "wait=60" },
      });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      const read = JSON.parse(text) as { text: string; confidence: number; words: { text: string }[] };
      const expected = words(await readFile(path.join(EXAMPLES, "reader", "page.txt"), "utf8"));
      assert.deepEqual(words(read.text), expected);
      assert.equal(read.words.length, expected.length);
      assert.ok(read.confidence > 80, String(read.confidence));
    },

    async fastapi() {
      const watcher = new WebSocket(`${url.replace("http", "ws")}/fastapi/watch`);
      await once(watcher, "open");
      const seen = once(watcher, "message");
      const added = await fetch(`${url}/fastapi/notes`, json({ text: "milk" }));
      const note = (await added.json()) as { id: number; url: string };
      assert.deepEqual([added.status, note], [201, { id: 1, url: `${url}/fastapi/notes/1` }]);
      const [{ data }] = (await seen) as [MessageEvent];
      assert.deepEqual(JSON.parse(String(data)), { text: "milk" });
      watcher.close();
      assert.deepEqual(await (await fetch(note.url)).json(), { text: "milk" });
      assert.equal((await fetch(`${url}/fastapi/notes`, json({ text: "" }))).status, 422);
      assert.match(await (await fetch(`${url}/fastapi/docs`)).text(), /Notes - Swagger UI/);
    },

    async flask() {
      const form = { method: "POST", body: new URLSearchParams({ name: "Ada" }), redirect: "manual" } as const;
      const signed = await fetch(`${url}/flask/sign`, form);
      assert.deepEqual([signed.status, signed.headers.get("location")], [302, "/flask/"]);
      const cookie = signed.headers.getSetCookie()[0]?.split(";")[0] ?? "";
      const page = await (await fetch(`${url}/flask/`, { headers: { cookie } })).text();
      assert.match(page, /Welcome back, Ada[\s\S]*action="\/flask\/sign"[\s\S]*<li>Ada<\/li>/);
    },
  };

  /** Examples that are built before they are deployed, in a copy. */
  const made: Record<string, () => Promise<string>> = {
    async sveltekit() {
      const folder = path.join(user.folder, "sveltekit");
      await cp(path.join(EXAMPLES, "sveltekit"), folder, { recursive: true, filter: isSource });
      await user.succeed("npm", ["ci", "--no-audit", "--no-fund"], folder);
      await user.succeed("npm", ["run", "build"], folder);
      return folder;
    },
  };

  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) {
    test(name, { skip: PYTHON.has(name) && noPython }, async () => {
      const works = tested[name];
      assert.ok(works, `no test for examples/${name}`);
      const folder = made[name] === undefined ? path.join(EXAMPLES, name) : await made[name]();
      assert.match(await user.athanor("deploy", path.join(folder, "app.ts")), /deployments:\d+/);
      await works();
    });
  }
});

function json(body: unknown): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** Not what a build in the checkout may have left, nor what leads to the checkout's other files. */
function isSource(file: string): boolean {
  return !/[\\/](?:node_modules|build|\.svelte-kit|tsconfig\.json)$/.test(file);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
