import assert from "node:assert/strict";
import { test } from "node:test";
import { webhookUrlFault } from "./target.ts";

test("a webhook goes to an http or https URL of a public host", () => {
  for (const url of ["https://hooks.example.com/a?b=c", "http://8.8.8.8:8080/", "HTTPS://EXAMPLE.COM"])
    assert.equal(webhookUrlFault(url, false), null, url);
  for (const url of ["", "hooks.example.com", "ftp://x.example/", "https://u:p@x.example/", "https://u@x.example/"])
    assert.match(webhookUrlFault(url, false) ?? "none", /^an http or https URL/, url);
  assert.match(webhookUrlFault(`https://x.example/${"a".repeat(2048)}`, true) ?? "none", /^an http or https URL/);
});

test("one of a private host is refused, unless the operator allows it", () => {
  for (const url of [
    "http://127.0.0.1:1/",
    "http://localhost/",
    "http://api.LOCALHOST/",
    "http://[::1]/",
    "http://10.0.0.1/",
  ]) {
    assert.match(
      webhookUrlFault(url, false) ?? "none",
      /^the URL of a public host \(\S+ is a \w+ address; `athanor up/,
    );
    assert.equal(webhookUrlFault(url, true), null);
  }
});
