import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AthanorError } from "../protocol/errors.ts";
import { Auth, agreeSecret, givenToken, loadSecret, makeToken } from "./auth.ts";
import { type Config, resolveConfig } from "./config.ts";

function temporaryFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "athanor-auth-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** As a first start on this machine does. */
const loadToken = (config: Config): string => givenToken(config) ?? makeToken(config, randomBytes(32));

const withCode = (code: string) => (error: unknown) => error instanceof AthanorError && error.code === code;
const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("the first start writes a token that only its owner can read, and later ones keep it", () => {
  using folder = temporaryFolder();
  const config = resolveConfig({ data: folder.path }, {});
  const token = loadToken(config);
  assert.equal(Buffer.from(token, "base64url").length, 32);
  assert.equal(modeOf(config.tokenFile), 0o600);
  assert.equal(loadToken(config), token);
  chmodSync(config.tokenFile, 0o644);
  loadToken(config);
  assert.equal(modeOf(config.tokenFile), 0o600);
});

test("other machines are let in only with a token that somebody was given", () => {
  using folder = temporaryFolder();
  const wide = resolveConfig({ data: folder.path, host: "0.0.0.0" }, {});
  assert.throws(() => loadToken(wide), withCode("no_token"));
  assert.equal(
    loadToken(resolveConfig({ data: folder.path, host: "0.0.0.0" }, { ATHANOR_TOKEN: "0123456789abcdef" })),
    "0123456789abcdef",
  );
  // The file that an earlier start wrote is there to be read by whoever runs the server.
  const token = loadToken(resolveConfig({ data: folder.path }, {}));
  assert.equal(loadToken(wide), token);
});

test("a token file that is named must be there and hold a token", () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "given");
  const config = resolveConfig({ data: folder.path, tokenFile: file, host: "0.0.0.0" }, {});
  assert.throws(() => loadToken(config), withCode("config_invalid"));
  writeFileSync(file, "short");
  assert.throws(() => loadToken(config), withCode("config_invalid"));
  writeFileSync(file, "long enough it is not: spaces");
  assert.throws(() => loadToken(config), withCode("config_invalid"));
  writeFileSync(file, "0123456789abcdef-token\n");
  assert.equal(loadToken(config), "0123456789abcdef-token");
});

test("servers of one store agree on the secret of the first, and make the same token of it", async () => {
  using first = temporaryFolder();
  using second = temporaryFolder();
  const kept = new Map<string, string>();
  const store = {
    shared: true,
    metaClaim: async ({ key, value }: { key: string; value: string }) => {
      if (!kept.has(key)) kept.set(key, value);
      return kept.get(key) as string;
    },
  };
  const secret = await agreeSecret(first.path, store);
  assert.deepEqual(await agreeSecret(second.path, store), secret);
  const [one, other] = [first, second].map(({ path }) => makeToken(resolveConfig({ data: path }, {}), secret));
  assert.equal(one, other);
  assert.notEqual(makeToken(resolveConfig({ data: mkdtempSync(join(first.path, "x")) }, {}), randomBytes(32)), one);
  assert.deepEqual(await agreeSecret(second.path, { ...store, shared: false }), loadSecret(second.path));
  assert.notDeepEqual(loadSecret(second.path), secret);
});

test("the secret is made once, and a damaged one is named", () => {
  using folder = temporaryFolder();
  const secret = loadSecret(folder.path);
  assert.deepEqual(loadSecret(folder.path), secret);
  assert.equal(modeOf(join(folder.path, "secret")), 0o600);
  assert.notEqual(readFileSync(join(folder.path, "secret"), "utf8"), "");
  writeFileSync(join(folder.path, "secret"), "x");
  assert.throws(() => loadSecret(folder.path), withCode("config_invalid"));
});

test("tokens open what they are for and nothing else", () => {
  const live = new Set(["replicas:7"]);
  const auth = new Auth({ token: "the-server's-own-token", secret: randomBytes(32), isLive: (id) => live.has(id) });
  assert.deepEqual(auth.authenticate("Bearer the-server's-own-token"), { kind: "operator" });
  assert.deepEqual(auth.authenticate("bearer the-server's-own-token"), { kind: "operator" });
  for (const header of [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    "Basic the-server's-own-token",
    "Bearer the-server's-own-tokem",
    "Bearer the-server's-own-token x",
  ]) {
    assert.equal(auth.authenticate(header), null, header);
  }

  const token = auth.replicaToken("demo", "replicas:7");
  assert.deepEqual(auth.authenticate(`Bearer ${token}`), { kind: "replica", app: "demo", replicaId: "replicas:7" });
  assert.equal(auth.authenticate(`Bearer ${token.replace("demo", "other")}`), null);
  assert.equal(auth.authenticate(`Bearer ${token}x`), null);
  live.delete("replicas:7");
  assert.equal(auth.authenticate(`Bearer ${token}`), null, "a replica's token ends with it");
});

test("a job's key opens that job alone, and another server's opens none", () => {
  const secret = randomBytes(32);
  const auth = new Auth({ token: "0123456789abcdef", secret, isLive: () => true });
  const other = new Auth({ token: "0123456789abcdef", secret: randomBytes(32), isLive: () => true });
  const key = auth.jobKey(7);
  assert.ok(auth.isJobKey(7, key));
  assert.ok(
    new Auth({ token: "another-token-1234", secret, isLive: () => true }).isJobKey(7, key),
    "it outlives a change of the token",
  );
  assert.ok(!auth.isJobKey(8, key));
  assert.ok(!auth.isJobKey(7, null));
  assert.ok(!auth.isJobKey(7, ""));
  assert.ok(!other.isJobKey(7, key));
});
