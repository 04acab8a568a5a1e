import type { ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";

/** A request to become a WebSocket on a stream of HTTP/2 (RFC 8441). What the client sends before the answer waits in the stream. */
export class StreamUpgrade {
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream, res: ServerResponse) {
    this.#stream = stream;
    stream.on("error", () => {});
    // The client takes any 2xx for the switch.
    const { writeHead } = res;
    res.writeHead = ((status: number, ...rest: []) =>
      writeHead.call(res, status >= 200 && status < 300 ? 426 : status, ...rest)) as typeof writeHead;
  }

  /** Tells the client that the protocol is switched. */
  open(headers: readonly [string, string][]): { socket: Duplex; rest: Buffer } {
    const fields: Record<string, string[]> = {};
    for (const [name, value] of headers) fields[name] = [...(fields[name] ?? []), value];
    // Of the handshake of HTTP/1.1 alone: the key that it answers was the gateway's own.
    delete fields["sec-websocket-accept"];
    this.#stream.respond({ ...fields, ":status": 200 });
    return { socket: this.#stream, rest: Buffer.alloc(0) };
  }
}

/** Of an HTTP/2 CONNECT. */
export function asksForWebSocketStream(req: { headers: Record<string, unknown> }): boolean {
  return req.headers[":protocol"] === "websocket";
}
