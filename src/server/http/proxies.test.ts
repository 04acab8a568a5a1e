import assert from "node:assert/strict";
import { test } from "node:test";
import { peerAddress, TrustedProxies } from "./proxies.ts";

test("the client is the nearest address that is no trusted proxy's", () => {
  const clientOf = (trusted: string, peer: string, given?: string): string =>
    new TrustedProxies(trusted).clientOf(peer, given);
  assert.equal(clientOf("none", "10.0.0.1", "1.1.1.1"), "10.0.0.1");
  assert.equal(clientOf("private", "10.0.0.1", "6.6.6.6, 1.1.1.1, 192.168.1.1"), "1.1.1.1");
  assert.equal(clientOf("private", "8.8.8.8", "1.1.1.1"), "8.8.8.8");
  assert.equal(clientOf("loopback", "127.0.0.1", "10.0.0.7"), "10.0.0.7");
  assert.equal(clientOf("loopback", "::1", "10.0.0.7"), "10.0.0.7");
  assert.equal(clientOf("203.0.113.0/24, 2001:db8::1", "203.0.113.9", "1.1.1.1, 2001:db8::1"), "1.1.1.1");
  assert.equal(clientOf("all", "8.8.8.8", "6.6.6.6, 1.1.1.1"), "6.6.6.6");
  assert.equal(clientOf("private", "10.0.0.1", "<script>, 10.0.0.2"), "10.0.0.2");
});

test("a chain is kept where the peer is trusted", () => {
  const proxies = new TrustedProxies("loopback");
  assert.equal(proxies.chainOf("127.0.0.1", "1.1.1.1"), "1.1.1.1, 127.0.0.1");
  assert.equal(proxies.chainOf("10.0.0.1", "1.1.1.1"), "10.0.0.1");
  assert.equal(proxies.chainOf("127.0.0.1", undefined), "127.0.0.1");
  assert.equal(peerAddress({ remoteAddress: "::ffff:10.0.0.1" }), "10.0.0.1");
});

test("what is no address is refused", () => {
  for (const text of ["", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/8/8", "::1/129", "1.2.3.4/", "private,x"])
    assert.throws(() => new TrustedProxies(text), TypeError, text);
});
