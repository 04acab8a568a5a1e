import type { Http2SecureServer, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from "node:http2";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";

/** Bounds of one HTTP/2 connection; frames that only cost the server work end it, as Node does by itself for streams that are reset in a row. */
export const HTTP2_OPTIONS = {
  allowHTTP1: true,
  settings: {
    maxConcurrentStreams: HTTP_DEFAULTS.maxStreams,
    maxHeaderListSize: HTTP_DEFAULTS.maxHeadBytes,
    enablePush: false,
    // For WebSockets (RFC 8441).
    enableConnectProtocol: true,
  },
  // Beside the fields, five begin with a colon.
  maxHeaderListPairs: HTTP_DEFAULTS.maxHeaders + 5,
  maxSessionMemory: HTTP_DEFAULTS.maxSessionBytes / 1e6,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  maxOutstandingPings: 10,
  maxSettings: 32,
  strictSingleValueFields: false,
  streamResetBurst: 1000,
  streamResetRate: 33,
  handshakeTimeout: HTTP_DEFAULTS.tlsHandshakeTimeoutMs,
};

/** Node's answers of HTTP/2, with what the server's parts ask of those of HTTP/1.1. Made where it is needed: the module is slow to load. */
export function http2Response(): typeof Http2ServerResponse {
  const { Http2ServerResponse } = process.getBuiltinModule("node:http2");
  class Response<R extends Http2ServerRequest> extends Http2ServerResponse<R> {}
  const define = (name: string, get: (this: Http2ServerResponse) => boolean): unknown =>
    Object.defineProperty(Response.prototype, name, { get });
  define("destroyed", function () {
    return this.stream.destroyed;
  });
  define("closed", function () {
    return this.stream.closed || this.stream.destroyed;
  });
  // Of a stream that was reset Node ends the writing half itself.
  define("writableFinished", function () {
    return this.stream.writableFinished && !this.stream.aborted;
  });
  return Response;
}

/**
 * The HTTP/2 connections.
 *
 *   open --nothing comes or goes for keepAliveMs, and no stream is open--> closed with GOAWAY
 *   open --the same, and a stream's answer waits to be taken--> cut
 */
export class Http2Sessions {
  readonly #all = new Set<ServerHttp2Session>();

  heed(server: Http2SecureServer): void {
    server.on("session", (session) => {
      this.#all.add(session);
      const streams = new Set<{ writableLength: number }>();
      session.on("stream", (stream) => {
        streams.add(stream);
        stream.once("close", () => streams.delete(stream));
      });
      session.once("close", () => this.#all.delete(session));
      session.on("error", () => {});
      session.setTimeout(HTTP_DEFAULTS.keepAliveMs, () => {
        if (streams.size === 0) session.close();
        else if ([...streams].some(({ writableLength }) => writableLength > 0)) session.destroy();
      });
    });
  }

  /** Those with open streams end with the last of these. */
  close(): void {
    for (const session of this.#all) session.close();
  }

  destroy(): void {
    for (const session of this.#all) session.destroy();
  }
}
