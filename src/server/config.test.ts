import assert from "node:assert/strict";
import { test } from "node:test";
import { AthanorError } from "../protocol/errors.ts";
import { resolveConfig, type ServerFlags } from "./config.ts";
import { isLoopback } from "./config-values.ts";

const invalid = (pattern: RegExp) => (error: unknown) =>
  error instanceof AthanorError && error.code === "config_invalid" && pattern.test(error.detail);

test("flags win over variables, variables over defaults", () => {
  const env = { ATHANOR_DATA: "/somewhere", ATHANOR_PORT: "8000", ATHANOR_HOST: "127.0.0.2" };
  const config = resolveConfig({ data: "/elsewhere" }, env);
  assert.equal(config.dataDir, "/elsewhere");
  assert.equal(config.port, 8000);
  assert.equal(config.host, "127.0.0.2");
  assert.equal(config.tokenFile, "/elsewhere/token");
  assert.equal(resolveConfig({ port: 0 }, env).port, 0);
  assert.equal(resolveConfig({ port: "0" }, {}).port, 0);
});

test("the data folder is XDG's, or the home folder's", () => {
  assert.equal(resolveConfig({}, { XDG_DATA_HOME: "/xdg" }).dataDir, "/xdg/athanor");
  assert.match(resolveConfig({}, { XDG_DATA_HOME: "not/absolute" }).dataDir, /\/\.local\/share\/athanor$/);
});

test("a wrong setting is named with its value", () => {
  const cases: [ServerFlags, NodeJS.ProcessEnv, RegExp][] = [
    [{ port: "70000" }, {}, /--port is "70000"/],
    [{ port: "seven" }, {}, /--port is "seven"/],
    [{ port: "-1" }, {}, /--port/],
    [{}, { ATHANOR_PORT: "1e3" }, /--port is "1e3"/],
    [{ host: "a b" }, {}, /--host is "a b"/],
    [{ domain: "-x" }, {}, /--domain/],
    [{ domain: "a..b" }, {}, /--domain/],
    [{ store: "oracle" }, {}, /--store is "oracle"/],
    [{ store: "postgres://x/y?schema=Blue" }, {}, /schema/],
    [{ store: "postgres://x", storeConnections: "0" }, {}, /--store-connections is "0"/],
    [{ engine: "docker" }, {}, /--engine/],
    [{ logLevel: "loud" }, {}, /--log-level/],
    [{ publicUrl: "ftp://x" }, {}, /--public-url/],
    [{ publicUrl: "https://x/path" }, {}, /--public-url/],
    [{ chaos: "much" }, {}, /--chaos is "much"/],
    [{}, { ATHANOR_TOKEN: "short" }, /ATHANOR_TOKEN must be/],
  ];
  for (const [flags, env, pattern] of cases) assert.throws(() => resolveConfig(flags, env), invalid(pattern));
});

test("chaos is for this machine alone, unless that is said", () => {
  assert.equal(resolveConfig({}, {}).chaos, null);
  assert.equal(resolveConfig({ chaos: "7" }, {}).chaos, 7);
  assert.equal(typeof resolveConfig({ chaos: true }, {}).chaos, "number");
  const everywhere = { chaos: "7", host: "0.0.0.0" };
  assert.throws(() => resolveConfig(everywhere, {}), invalid(/--chaos-anywhere/));
  assert.throws(() => resolveConfig({ chaos: true }, { ATHANOR_HOST: "0.0.0.0" }), invalid(/--chaos-anywhere/));
  assert.equal(resolveConfig({ ...everywhere, chaosAnywhere: true }, {}).chaos, 7);
});

test("a token that is refused is not repeated", () => {
  assert.throws(
    () => resolveConfig({}, { ATHANOR_TOKEN: "geheim" }),
    (error) => error instanceof AthanorError && !JSON.stringify(error.toProblem()).includes("geheim"),
  );
});

test("the store is a file, or the database that a URL names", () => {
  assert.deepEqual(resolveConfig({}, {}).store, { kind: "sqlite" });
  const url = "postgresql://athanor:geheim@db.example.com/athanor?schema=blue";
  const label = "athanor@db.example.com:5432/athanor, schema blue";
  assert.deepEqual(resolveConfig({}, { ATHANOR_STORE: url }).store, { kind: "postgres", url, label, connections: 10 });
  assert.deepEqual(resolveConfig({ store: "sqlite" }, { ATHANOR_STORE: url }).store, { kind: "sqlite" });
  const config = resolveConfig({ store: url, storeConnections: "3", blobs: "/mnt/blobs" }, {});
  assert.deepEqual(config.store, { kind: "postgres", url, label, connections: 3 });
  assert.equal(config.blobsDir, "/mnt/blobs");
  assert.equal(resolveConfig({ data: "/data" }, { ATHANOR_BLOBS: "" }).blobsDir, "/data/blobs");
});

test("the password of a store's URL is not repeated, however it is mistyped", () => {
  for (const store of ["postgress://me:geheim@db/x", "me:geheim@db", "postgres:/me:geheim@db/x"])
    assert.throws(
      () => resolveConfig({ store }, {}),
      (error) => error instanceof AthanorError && !JSON.stringify(error.toProblem()).includes("geheim"),
    );
});

test("loopback is told from what other machines reach", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "localhost", "::1"]) assert.ok(isLoopback(host), host);
  for (const host of ["0.0.0.0", "::", "192.168.1.2", "localhost.example.com", "127.0.0.1.example.com"])
    assert.ok(!isLoopback(host), host);
});

test("the access log and trusted proxies", () => {
  const share = (value: string) => resolveConfig({ accessLog: value }, {}).accessLogShare;
  assert.deepEqual([share("off"), share("errors"), share("all"), share("0.01"), share("1")], [null, 0, 1, 0.01, 1]);
  assert.equal(resolveConfig({}, {}).accessLogShare, 0);
  for (const value of ["0", "2", "1.5", "some", "-1", "1e-2", "."])
    assert.throws(() => share(value), { code: "config_invalid" }, value);
  const trusts = (flags: Parameters<typeof resolveConfig>[0]) => resolveConfig(flags, {}).proxies.trusts("10.0.0.1");
  assert.deepEqual(
    [trusts({}), trusts({ publicUrl: "https://a.example" }), trusts({ trustProxy: "10.0.0.0/8" })],
    [false, true, true],
  );
  assert.throws(() => trusts({ trustProxy: "proxy.example" }), /--trust-proxy is "proxy.example"/);
});
