import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Lease } from "../scheduler/scheduler.ts";
import type { Tunnel } from "../websockets/tunnel.ts";
import type { Tunnels } from "../websockets/tunnels.ts";
import { passedHeaders } from "./answer.ts";
import { isGone } from "./retry.ts";

/** What a service has switched to, and said with it. */
export interface Switched {
  headers: readonly [string, string][];
  service: Duplex;
  /** What it sent past its head. */
  rest: Buffer;
}

/** Tells the client that the protocol is switched, and joins it and the service. */
export function joinWebSocket(x: Exchange, p: { tunnels: Tunnels; lease: Lease; switched: Switched }): Tunnel {
  const { headers, service, rest } = p.switched;
  const { socket, rest: early } = takeConnection(x, headers);
  return p.tunnels.open({
    client: socket,
    service,
    rest: { client: early, service: rest },
    ending: p.lease.ending,
    isReplicaGone: () => isGone(p.lease.session),
  });
}

/** Tells the client that the protocol is switched, and takes its connection; `rest` is what it has sent past its request. */
export function takeConnection(x: Exchange, headers: Switched["headers"]): { socket: Socket; rest: Buffer } {
  if (x.upgrade === null) throw new AthanorError("answer_invalid", "a protocol was switched that was not asked for");
  const { socket, rest } = x.upgrade.take();
  let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  for (const [name, value] of passedHeaders(headers)) head += `${name}: ${value}\r\n`;
  socket.write(`${head}x-request-id: ${x.requestId}\r\n\r\n`, "latin1");
  socket.setNoDelay(true).setKeepAlive(true, HOP_DEFAULTS.keepAliveProbeMs);
  return { socket, rest };
}
