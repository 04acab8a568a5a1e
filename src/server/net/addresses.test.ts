import assert from "node:assert/strict";
import { BlockList, SocketAddress } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { addressFault } from "./addresses.ts";

const PUBLIC = [
  "1.1.1.1",
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "168.63.129.15",
  "168.63.129.17",
  "169.253.255.255",
  "169.255.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.0",
  "192.167.255.255",
  "192.169.0.0",
  "198.17.255.255",
  "198.20.0.0",
  "203.0.112.255",
  "223.255.255.255",
  "2000::",
  "2001:200::1",
  "2001:4860:4860::8888",
  "2606:4700:4700::1111",
  "2003::1",
  "3ffe:ffff::1",
  "::ffff:8.8.8.8",
  "::ffff:808:808",
  "64:ff9b::8.8.8.8",
  "64:ff9b::808:808",
];

const OTHERS: { [kind: string]: string[] } = {
  "an unspecified address": ["0.0.0.0", "0.255.255.255", "::", "0:0:0:0:0:0:0:0", "::ffff:0.0.0.0"],
  "a loopback address": [
    "127.0.0.1",
    "127.0.0.0",
    "127.255.255.255",
    "::1",
    "0:0:0:0:0:0:0:1",
    "0000:0000:0000:0000:0000:0000:0000:0001",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::FFFF:7F00:0001",
    "0:0:0:0:0:ffff:127.0.0.1",
    "64:ff9b::127.0.0.1",
  ],
  "a private address": [
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.255.255",
    "fc00::",
    "fd00:ec2::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::1",
    "feff::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
  ],
  "a provider's shared address": ["100.64.0.0", "100.100.100.200", "100.127.255.255"],
  "a metadata service's address": ["168.63.129.16", "::ffff:168.63.129.16"],
  "a link-local address": [
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "fe80::1",
    "febf:ffff::1",
    "fe80::1%eth0",
    "2606:4700::1%1",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
  ],
  "a documentation address": ["192.0.2.1", "198.51.100.7", "203.0.113.255", "2001:db8::1", "3fff:fff::1"],
  "a benchmarking address": ["198.18.0.0", "198.19.255.255"],
  "a multicast address": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
  "a tunnel's address": ["2002:7f00:1::", "2002:808:808::1"],
  "a reserved address": [
    "192.0.0.192",
    "192.88.99.1",
    "240.0.0.1",
    "255.255.255.255",
    "2001::1",
    "2001:1ff:ffff::1",
    "64:ff9b:1::a00:1",
    "100::1",
    "5f00::1",
    "::8.8.8.8",
    "::2",
    "4000::1",
    "1fff:ffff::1",
    "::fffe:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "fe00::1",
  ],
  "no IP address": ["", "localhost", "8.8.8", "0x7f.1", "1.1.1.256", "[::1]", "::1::", "2130706433", " 8.8.8.8"],
};

describe("addressFault", () => {
  for (const address of PUBLIC) {
    it(`${address} is public`, () => {
      assert.equal(addressFault(address), null);
    });
  }
  for (const [kind, addresses] of Object.entries(OTHERS)) {
    for (const address of addresses) {
      it(`${JSON.stringify(address)} is ${kind}`, () => {
        assert.equal(addressFault(address), kind);
      });
    }
  }

  it("finds the same of an IPv6 address however it is written, and lets none through that Node's own list of ranges blocks", () => {
    const blocked = new BlockList();
    const V4: [string, number][] = [
      ["0.0.0.0", 8],
      ["10.0.0.0", 8],
      ["100.64.0.0", 10],
      ["127.0.0.0", 8],
      ["169.254.0.0", 16],
      ["172.16.0.0", 12],
      ["192.168.0.0", 16],
      ["224.0.0.0", 3],
    ];
    for (const [net, prefix] of V4) blocked.addSubnet(net, prefix, "ipv4");
    for (const [net, prefix] of [
      ["::", 96],
      ["fc00::", 7],
      ["fe80::", 9],
      ["ff00::", 8],
    ] as const)
      blocked.addSubnet(net, prefix, "ipv6");
    // Groups that the ranges begin with come often.
    const group = fc.oneof(
      fc.constantFrom(0, 1, 0xffff, 0x64, 0xff9b, 0x2001, 0x2002, 0xfc00, 0xfe80, 0x7f00, 0xa00, 0xc0a8),
      fc.integer({ min: 0, max: 0xffff }),
    );
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const whole = groups.map((each) => each.toString(16)).join(":");
        const short = new SocketAddress({ address: whole, family: "ipv6" }).address;
        assert.equal(addressFault(short), addressFault(whole));
        assert.equal(addressFault(whole.toUpperCase()), addressFault(whole));
        if (blocked.check(whole, "ipv6")) assert.notEqual(addressFault(whole), null, whole);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (bits) => {
        const address = [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join(".");
        const found = addressFault(address);
        if (blocked.check(address, "ipv4")) assert.notEqual(found, null, address);
        assert.equal(addressFault(`::ffff:${address}`), found);
        assert.equal(addressFault(`64:ff9b::${address}`), found);
      }),
      { numRuns: 2000 },
    );
  });
});
