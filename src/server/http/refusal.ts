import type { Duplex } from "node:stream";
import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError, PROBLEM_CONTENT_TYPE } from "../../protocol/errors.ts";

/** What is to be answered to bytes that Node's parser did not take. */
export function parserProblem(error: NodeJS.ErrnoException & { rawPacket?: Buffer }): AthanorError {
  const limit = `${HTTP_DEFAULTS.maxHeadBytes / 1024} KiB`;
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      if (error.rawPacket?.subarray(0, HTTP_DEFAULTS.maxHeadBytes).includes("\n") === false)
        return new AthanorError("uri_too_long", `the request's line is over ${limit}`);
      return new AthanorError("header_too_large", `the request's line and headers are over ${limit}`);
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return new AthanorError("header_too_large", `the extensions of the body's chunks are over ${limit}`);
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new AthanorError(
        "request_timeout",
        `the request's head did not arrive within ${HTTP_DEFAULTS.headTimeoutMs / 1000} s`,
      );
    default: {
      const known = error.code?.startsWith("HPE_") === true ? ` (${error.code})` : "";
      return new AthanorError("bad_request", `the request is not valid HTTP/1.1${known}`);
    }
  }
}

/** An answer written past Node's own, for what never became a request; the connection ends with it. */
export function refuse(socket: Duplex, error: AthanorError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { title, ...problem } = error.toProblem();
  const body = JSON.stringify({ title, ...problem });
  const head = [
    `HTTP/1.1 ${error.status} ${title}`,
    `content-type: ${PROBLEM_CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.once("error", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
