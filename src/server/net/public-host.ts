import { promises as dns, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { addressFault } from "./addresses.ts";

/** Every address of a host name. Rejects where there is none. */
export type Resolve = (hostname: string, signal: AbortSignal) => Promise<LookupAddress[]>;

/** A host that a caller's URL may not lead to. What it says goes to the caller, so it does not tell which address a name leads to. */
export class ForbiddenHostError extends Error {
  override readonly name = "ForbiddenHostError";
}

/** Why a URL's host, where it is an address, is refused; null for a public address and for a name, which only a lookup can tell. */
export function hostFault(url: URL): string | null {
  const host = hostOf(url);
  // Names that mean this machine by definition, whatever a resolver says.
  const isLocal = /(?:^|\.)localhost\.?$/.test(host);
  const fault = isLocal ? "a loopback address" : isIP(host) === 0 ? null : addressFault(host);
  return fault === null ? null : `${url.hostname} is ${fault}`;
}

/**
 * The addresses of the URL's host, for `pinned`. Rejects with ForbiddenHostError where any of them is not public: a name that leads to several
 * places leads, sooner or later, to each.
 */
export async function publicAddresses(url: URL, resolve: Resolve, signal: AbortSignal): Promise<LookupAddress[]> {
  const fault = hostFault(url);
  if (fault !== null) throw new ForbiddenHostError(fault);
  const addresses = await addressesOf(url, resolve, signal);
  const refused = addresses.map(({ address }) => addressFault(address)).find((found) => found !== null);
  if (refused != null) throw new ForbiddenHostError(`${url.hostname} leads to ${refused}`);
  return addresses;
}

/** The addresses of the URL's host, whatever they are. */
export async function addressesOf(url: URL, resolve: Resolve, signal: AbortSignal): Promise<LookupAddress[]> {
  const host = hostOf(url);
  const family = isIP(host);
  return family === 0 ? resolve(host, signal) : [{ address: host, family }];
}

/** A `lookup` for a socket that gives the addresses that were looked at, so that a name which leads elsewhere by now gains nothing. */
export function pinned(addresses: LookupAddress[]): LookupFunction {
  return (hostname, options, callback) => {
    const [first] = addresses;
    if (!first) callback(Object.assign(new Error(`${hostname} has no address`), { code: "ENOTFOUND" }), "");
    else if (options.all) callback(null, addresses);
    else callback(null, first.address, first.family);
  };
}

/**
 * The system's resolver, at most `limit` questions at a time. They are asked in the few threads that also read and write the server's files,
 * and a name server that does not answer must not take them all.
 */
export function boundedResolve(
  limit: number,
  lookup: (hostname: string) => Promise<LookupAddress[]> = (hostname) => dns.lookup(hostname, { all: true }),
): Resolve {
  let asking = 0;
  const waiting = new Set<() => void>();
  const ask = (hostname: string): Promise<LookupAddress[]> => {
    asking++;
    return lookup(hostname).finally(() => {
      asking--;
      const [next] = waiting;
      next?.();
    });
  };
  return (hostname, signal) =>
    new Promise((resolve, reject) => {
      const proceed = (): void => {
        waiting.delete(proceed);
        ask(hostname).then(resolve, reject);
      };
      signal.throwIfAborted();
      signal.addEventListener(
        "abort",
        () => {
          waiting.delete(proceed);
          reject(signal.reason);
        },
        { once: true },
      );
      if (asking < limit) proceed();
      else waiting.add(proceed);
    });
}

function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}
