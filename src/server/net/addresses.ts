/**
 * Which addresses the server may be sent to by a URL that a caller gave: those of the public internet, and no others. Behind the rest stand
 * this machine, its neighbours, and the metadata services of clouds, which trust whoever reaches them. The ranges are those that the
 * registries of special-purpose addresses of IANA do not call global, and one address that a cloud took from the public ones.
 */
import { isIPv4, isIPv6 } from "node:net";

interface Range {
  first: bigint;
  /** Bits after the prefix. */
  hostBits: bigint;
  /** What an address in it is, with its article. */
  kind: string;
}

const V4: Range[] = ranges(32, {
  "0.0.0.0/8": "an unspecified address",
  "10.0.0.0/8": "a private address",
  "100.64.0.0/10": "a provider's shared address",
  "127.0.0.0/8": "a loopback address",
  "168.63.129.16/32": "a metadata service's address",
  "169.254.0.0/16": "a link-local address",
  "172.16.0.0/12": "a private address",
  "192.0.0.0/24": "a reserved address",
  "192.0.2.0/24": "a documentation address",
  "192.88.99.0/24": "a reserved address",
  "192.168.0.0/16": "a private address",
  "198.18.0.0/15": "a benchmarking address",
  "198.51.100.0/24": "a documentation address",
  "203.0.113.0/24": "a documentation address",
  "224.0.0.0/4": "a multicast address",
  "240.0.0.0/4": "a reserved address",
});

const V6: Range[] = ranges(128, {
  "::/128": "an unspecified address",
  "::1/128": "a loopback address",
  "2001::/23": "a reserved address",
  "2001:db8::/32": "a documentation address",
  "2002::/16": "a tunnel's address",
  "3fff::/20": "a documentation address",
  "fc00::/7": "a private address",
  "fe80::/10": "a link-local address",
  "fec0::/10": "a private address",
  "ff00::/8": "a multicast address",
});

/** All that is given out of IPv6; what it does not hold is reserved. */
const V6_GLOBAL = rangeOf("2000::/3", 128, "");
/** In their last 32 bits is the IPv4 address that is meant. */
const V6_OF_V4 = [rangeOf("::ffff:0:0/96", 128, ""), rangeOf("64:ff9b::/96", 128, "")];

/** Why the address is none of the public internet, "a loopback address"; null where it is one. Anything that is no address is refused. */
export function addressFault(address: string): string | null {
  if (isIPv4(address)) return faultOfV4(v4Bits(address));
  if (!isIPv6(address)) return "no IP address";
  // A zone, %eth0, goes with addresses of a link alone.
  if (address.includes("%")) return "a link-local address";
  const bits = v6Bits(address);
  if (V6_OF_V4.some((range) => holds(range, bits))) return faultOfV4(bits & 0xffff_ffffn);
  return kindIn(V6, bits) ?? (holds(V6_GLOBAL, bits) ? null : "a reserved address");
}

function faultOfV4(bits: bigint): string | null {
  return kindIn(V4, bits);
}

function kindIn(known: Range[], bits: bigint): string | null {
  return known.find((range) => holds(range, bits))?.kind ?? null;
}

function holds({ first, hostBits }: Range, bits: bigint): boolean {
  return first >> hostBits === bits >> hostBits;
}

function ranges(width: number, kinds: { [range: string]: string }): Range[] {
  return Object.entries(kinds).map(([range, kind]) => rangeOf(range, width, kind));
}

function rangeOf(range: string, width: number, kind: string): Range {
  const [address = "", prefix] = range.split("/");
  return {
    first: width === 32 ? v4Bits(address) : v6Bits(address),
    hostBits: BigInt(width - Number(prefix)),
    kind,
  };
}

function v4Bits(address: string): bigint {
  return address.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function v6Bits(address: string): bigint {
  // An IPv4 address at the end is two groups.
  const dotted = /[\d.]+\.\d+$/.exec(address)?.[0];
  const v4 = dotted === undefined ? 0n : v4Bits(dotted);
  const text =
    dotted === undefined
      ? address
      : `${address.slice(0, -dotted.length)}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  const [head = [], tail = []] = text.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const zeros = Array<string>(8 - head.length - tail.length).fill("0");
  return [...head, ...zeros, ...tail].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}
