import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { addressesOf, pinned, publicAddresses, type Resolve } from "../net/public-host.ts";

export interface Answer {
  status: number;
  retryAfter: string | null;
}

export interface PostOptions {
  url: URL;
  headers: { [name: string]: string };
  body: string;
  timeoutMs: number;
  resolve: Resolve;
  /** Hosts that are not public are refused, unless this is true. */
  allowPrivate: boolean;
  /** Aborted: the attempt is given up. */
  signal: AbortSignal;
}

/**
 * One POST, on a connection of its own, to an address that was looked at before. A redirect is an answer like any other, and of the answer
 * nothing is read past its head. Rejects with ForbiddenHostError, TimeoutError, or what the connection failed with.
 */
export async function post(p: PostOptions): Promise<Answer> {
  const signal = AbortSignal.any([p.signal, AbortSignal.timeout(p.timeoutMs)]);
  const addresses = await (p.allowPrivate ? addressesOf : publicAddresses)(p.url, p.resolve, signal);
  const body = Buffer.from(p.body);
  const send = p.url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const request = send(p.url, {
      method: "POST",
      headers: { ...p.headers, "content-length": body.length },
      lookup: pinned(addresses),
      agent: false,
      signal,
    });
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.on("response", (response) => {
      const { statusCode: status = 0, headers } = response;
      // Errors after the head are of a body that nobody wants.
      response.on("error", () => {});
      response.destroy();
      resolve({ status, retryAfter: headers["retry-after"] ?? null });
    });
    request.end(body);
  });
}
