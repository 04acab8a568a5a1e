import { BlockList, isIP } from "node:net";

const LOOPBACK = ["127.0.0.0/8", "::1/128"];
const PRIVATE = [
  ...LOOPBACK,
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "169.254.0.0/16",
  "fc00::/7",
  "fe80::/10",
];
const NAMED: { [name: string]: readonly string[] } = {
  none: [],
  loopback: LOOPBACK,
  private: PRIVATE,
  all: ["0.0.0.0/0", "::/0"],
};

/** Those whose `X-Forwarded-For` is believed. */
export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #none: boolean;

  /** `none`, `loopback`, `private`, `all`, or addresses and CIDR ranges, with commas. Throws TypeError naming what is none of these. */
  constructor(text: string) {
    const ranges = text.split(",").flatMap((part) => NAMED[part.trim()] ?? [part.trim()]);
    this.#none = ranges.length === 0;
    for (const range of ranges) this.#add(range);
  }

  #add(range: string): void {
    const [address = "", bits, more] = range.split("/");
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || !(prefix <= most) || more !== undefined)
      throw new TypeError(`${JSON.stringify(range)} is no address or range`);
    this.#list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
  }

  trusts(address: string): boolean {
    if (this.#none) return false;
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? "ipv4" : "ipv6");
  }

  /** What goes on as `X-Forwarded-For`. */
  chainOf(peer: string, given: string | undefined): string {
    return given !== undefined && this.trusts(peer) ? `${given}, ${peer}` : peer;
  }

  /** The nearest address that is no trusted proxy's; where all are, the farthest. */
  clientOf(peer: string, given: string | undefined): string {
    let client = peer;
    const chain = given === undefined ? [] : given.split(",").map((text) => text.trim());
    while (this.trusts(client)) {
      const before = chain.pop();
      if (before === undefined || isIP(before) === 0) break;
      client = before;
    }
    return client;
  }
}

/** Of a connection; an IPv4 address as itself where the socket listens on both. */
export function peerAddress({ remoteAddress = "" }: { remoteAddress?: string | undefined }): string {
  return remoteAddress.startsWith("::ffff:") && remoteAddress.includes(".") ? remoteAddress.slice(7) : remoteAddress;
}
