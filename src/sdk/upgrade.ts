import { AthanorError } from "../protocol/errors.ts";

/** Under which a request that asks to become a WebSocket has the way to become one. */
export const UPGRADE = Symbol.for("athanor.upgrade");

export interface UpgradeOptions {
  /** The one of the protocols that the client offers in `Sec-WebSocket-Protocol` that is taken. Default: none. */
  protocol?: string | undefined;
  /** Compresses messages where the client can read them. Default false. */
  perMessageDeflate?: boolean | undefined;
  /** A longer message closes the socket with code 1009. Default 100 MiB. */
  maxMessageBytes?: number | undefined;
}

/**
 * Takes the request of a `fetch` service as a WebSocket. Return the response as it is; the socket then opens, and the call lasts until it is closed.
 *
 * @throws AthanorError `usage` where the request asks for no WebSocket: its header `upgrade` says what it asks for. TypeError for a protocol that the
 * client does not offer.
 */
export function upgradeWebSocket(
  request: Request,
  options: UpgradeOptions = {},
): { socket: WebSocket; response: Response } {
  const upgrade = (request as { [UPGRADE]?: (options: UpgradeOptions) => { socket: WebSocket; response: Response } })[
    UPGRADE
  ];
  if (upgrade === undefined) {
    throw new AthanorError("usage", "the request is not one that asks a fetch service for a WebSocket", {
      hint: 'Ask first: `request.headers.get("upgrade") === "websocket"`; and hand on the request that the handler was given, not a copy.',
    });
  }
  return upgrade(options);
}
