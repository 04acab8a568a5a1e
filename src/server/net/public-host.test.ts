import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { describe, it } from "node:test";
import { addressesOf, boundedResolve, ForbiddenHostError, hostFault, pinned, publicAddresses } from "./public-host.ts";

const V4: LookupAddress = { address: "8.8.8.8", family: 4 };
const V6: LookupAddress = { address: "2606:4700::1", family: 6 };
const HOOKS = new URL("https://hooks.example.com/x");
const { signal } = new AbortController();

describe("hostFault", () => {
  it("finds addresses in a URL, in every way that a URL may write them", () => {
    const faults: [url: string, fault: string | null][] = [
      ["https://hooks.example.com/x", null],
      ["http://8.8.8.8:80/", null],
      ["http://[2606:4700::1]/", null],
      ["http://127.0.0.1:1/", "127.0.0.1 is a loopback address"],
      ["http://2130706433/", "127.0.0.1 is a loopback address"],
      ["http://0x7f.1/", "127.0.0.1 is a loopback address"],
      ["http://0177.0.0.1/", "127.0.0.1 is a loopback address"],
      ["http://127.1./", "127.0.0.1 is a loopback address"],
      ["http://\u2460\u2461\u2466.0.0.1/", "127.0.0.1 is a loopback address"],
      ["http://[::1]/", "[::1] is a loopback address"],
      ["http://[::ffff:10.0.0.1]/", "[::ffff:a00:1] is a private address"],
      ["http://169.254.169.254/latest", "169.254.169.254 is a link-local address"],
      ["http://0/", "0.0.0.0 is an unspecified address"],
      ["http://localhost:7700/", "localhost is a loopback address"],
      ["http://a.LocalHost./", "a.localhost. is a loopback address"],
      ["http://notlocalhost/", null],
    ];
    for (const [url, fault] of faults) assert.equal(hostFault(new URL(url)), fault, url);
  });
});

describe("publicAddresses", () => {
  it("gives the addresses of a name, and those that a URL names itself without asking anybody", async () => {
    const asked: string[] = [];
    const resolve = async (hostname: string): Promise<LookupAddress[]> => {
      asked.push(hostname);
      return [V4, V6];
    };
    assert.deepEqual(await publicAddresses(HOOKS, resolve, signal), [V4, V6]);
    assert.deepEqual(await publicAddresses(new URL("http://8.8.8.8/"), resolve, signal), [V4]);
    assert.deepEqual(await publicAddresses(new URL("http://[2606:4700::1]:8080/"), resolve, signal), [V6]);
    assert.deepEqual(asked, ["hooks.example.com"]);
  });

  it("refuses a host that has any address which is not public, and does not say which", async () => {
    for (const address of ["10.1.2.3", "169.254.169.254", "::ffff:127.0.0.1"]) {
      const addresses = [V4, { address, family: address.includes(":") ? 6 : 4 }];
      await assert.rejects(
        publicAddresses(HOOKS, async () => addresses, signal),
        (error) => {
          assert.ok(error instanceof ForbiddenHostError);
          assert.match(error.message, /^hooks\.example\.com leads to a (?:private|link-local|loopback) address$/);
          return true;
        },
      );
      assert.deepEqual(await addressesOf(HOOKS, async () => addresses, signal), addresses);
    }
    await assert.rejects(
      publicAddresses(new URL("http://127.1/"), () => assert.fail("nobody is to be asked"), signal),
      /^ForbiddenHostError: 127\.0\.0\.1 is a loopback address$/,
    );
  });
});

describe("pinned", () => {
  const look = (addresses: LookupAddress[], options: { all?: boolean }): Promise<unknown[]> =>
    new Promise((resolve, reject) => {
      pinned(addresses)("hooks.example.com", options, (error, ...found) => (error ? reject(error) : resolve(found)));
    });

  it("gives a socket those addresses, in the way that it asks for them", async () => {
    assert.deepEqual(await look([V4, V6], { all: true }), [[V4, V6]]);
    assert.deepEqual(await look([V6, V4], {}), ["2606:4700::1", 6]);
    await assert.rejects(look([], {}), { code: "ENOTFOUND" });
    await assert.rejects(look([], { all: true }), { code: "ENOTFOUND" });
  });
});

describe("boundedResolve", () => {
  it("asks so many questions at a time, the next when one is answered, and none that nobody waits for any more", async () => {
    const asked: { hostname: string; answer: PromiseWithResolvers<LookupAddress[]> }[] = [];
    const names = (): string => asked.map(({ hostname }) => hostname).join("");
    const resolve = boundedResolve(2, (hostname) => {
      const answer = Promise.withResolvers<LookupAddress[]>();
      asked.push({ hostname, answer });
      return answer.promise;
    });
    const left = new AbortController();
    const ask = (hostname: string, by = signal): Promise<LookupAddress[]> => resolve(hostname, by);
    const [a, b, c, d, e] = [ask("a"), ask("b", left.signal), ask("c", left.signal), ask("d"), ask("e")];
    assert.equal(names(), "ab");
    asked[0]?.answer.reject(new Error("no such name"));
    await assert.rejects(a, /no such name/);
    assert.equal(names(), "abc");
    left.abort();
    await assert.rejects(b, { name: "AbortError" });
    await assert.rejects(c, { name: "AbortError" });
    assert.equal(names(), "abc", "a question that was asked keeps its place until it is answered");
    asked[1]?.answer.resolve([V4]);
    asked[2]?.answer.resolve([V4]);
    asked[3]?.answer.resolve([V6]);
    await new Promise(setImmediate);
    assert.equal(names(), "abcde");
    asked[3]?.answer.resolve([V6]);
    asked[4]?.answer.resolve([]);
    assert.deepEqual(await Promise.all([d, e]), [[V6], []]);
    await assert.rejects(ask("f", left.signal), { name: "AbortError" });
    assert.equal(names(), "abcde");
  });
});
