import assert from "node:assert/strict";
import { test } from "node:test";
import { NAME_PATTERN } from "../../protocol/names.ts";
import { preferencesOf } from "../http/prefer.ts";
import { targetOf } from "./routes.ts";

const target = (host: string, path: string, publicHost: string | null = null, domain = "localhost") => {
  const { app, path: below, prefix, fn } = targetOf({ host, path, domain, publicHost });
  return fn === null ? [app, below, prefix] : [app, below, prefix, fn];
};

test("an app is found by its path", () => {
  assert.deepEqual(target("127.0.0.1:7700", "/demo/hello"), ["demo", "/hello", "/demo"]);
  assert.deepEqual(target("localhost:7700", "/demo/a/b"), ["demo", "/a/b", "/demo"]);
  assert.deepEqual(target("", "/demo"), ["demo", "/", "/demo"]);
  assert.deepEqual(target("[::1]:7700", "/demo/"), ["demo", "/", "/demo"]);
});

test("an app is found by its host", () => {
  assert.deepEqual(target("demo.localhost:7700", "/hello"), ["demo", "/hello", ""]);
  assert.deepEqual(target("demo.localhost", "/v1/jobs"), ["demo", "/v1/jobs", ""]);
  assert.deepEqual(target("demo.apps.example.com", "/x", null, "apps.example.com"), ["demo", "/x", ""]);
});

test("a function is found by its host", () => {
  assert.deepEqual(target("hello--demo.localhost:7700", "/x"), ["demo", "/x", "", "hello"]);
  assert.deepEqual(target("swap-face--my-demo.example.com", "/", null, "example.com"), [
    "my-demo",
    "/",
    "",
    "swap-face",
  ]);
  // Names have no two hyphens in a row, so there is one way to split, and the rest names nothing.
  assert.deepEqual(target("a--b--c.localhost", "/"), ["b--c", "/", "", "a"]);
  assert.deepEqual(target("--demo.localhost", "/"), ["demo", "/", "", ""]);
  for (const name of ["a--b", "-a", "a-", "--", "xn--a"]) assert.ok(!NAME_PATTERN.test(name), name);
  for (const name of ["a", "a-b", "a-b-c", "0"]) assert.ok(NAME_PATTERN.test(name), name);
});

test("hosts that only look alike name no app", () => {
  assert.deepEqual(target("notlocalhost", "/demo/x"), ["demo", "/x", "/demo"]);
  assert.deepEqual(target("a.b.localhost", "/demo/x"), ["demo", "/x", "/demo"]);
  assert.deepEqual(target(".localhost", "/demo/x"), ["demo", "/x", "/demo"]);
  assert.deepEqual(target("athanor.example.com", "/demo/x", "athanor.example.com", "example.com"), [
    "demo",
    "/x",
    "/demo",
  ]);
});

test("preferences are read, and what is not known is passed over", () => {
  assert.deepEqual(preferencesOf(undefined), { respondAsync: false, waitS: null });
  assert.deepEqual(preferencesOf("respond-async"), { respondAsync: true, waitS: null });
  assert.deepEqual(preferencesOf("Respond-Async, wait=5"), { respondAsync: true, waitS: 5 });
  assert.deepEqual(preferencesOf('wait="7"; x=y, wait=9'), { respondAsync: false, waitS: 7 });
  assert.deepEqual(preferencesOf("wait=100000"), { respondAsync: false, waitS: 300 });
  for (const header of ["wait=", "wait=-1", "wait=1.5", "wait", "return=minimal", ",,;=", ""]) {
    assert.deepEqual(preferencesOf(header), { respondAsync: false, waitS: null }, header);
  }
});
