import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { StreamUpgrade } from "../http/stream-upgrade.ts";
import type { HttpCall, ReplicaSession } from "../replicas/session.ts";
import type { Lease } from "../scheduler/scheduler.ts";
import { FrameStream } from "../websockets/frame-stream.ts";
import { type Carried, HandedOver } from "../websockets/handed-over.ts";
import type { OpenWebSocket, WebSockets } from "../websockets/open.ts";
import { Tunnel } from "../websockets/tunnel.ts";
import { passedHeaders } from "./answer.ts";
import { isGone } from "./retry.ts";

/** What a service has switched to, and said with it. */
export interface Switched {
  headers: readonly [string, string][];
  /** Its side of the connection; of a call in frames, the call. */
  service: Duplex | HttpCall;
  /** What it sent past its head. */
  rest: Buffer;
}

/** Whether the client's connection may become the replica's own: what only passes through this process otherwise, and is no more than a socket. */
export function mayHandOver(x: Exchange, session: ReplicaSession): boolean {
  return (
    x.upgrade !== null && session.takesSockets && session.takesCalls && !x.isSecure && x.req.socket instanceof Socket
  );
}

/** Tells the client that the protocol is switched, and joins it and the service. `call`: its client's connection is the service's to have. */
export function joinWebSocket(
  x: Exchange,
  p: { webSockets: WebSockets; lease: Lease; switched: Switched; handOver: HttpCall | null },
): OpenWebSocket {
  const { lease, switched, handOver } = p;
  const webSocket = handOver === null ? tunnel(x, lease, switched) : handedOver(x, handOver, switched);
  p.webSockets.add(webSocket, lease.ending);
  return webSocket;
}

function tunnel(x: Exchange, lease: Lease, { headers, service, rest }: Switched): Tunnel {
  const { socket, rest: early } = takeConnection(x, headers);
  return new Tunnel({
    client: socket,
    service: "write" in service ? service : new FrameStream(service),
    rest: { client: early, service: rest },
    isReplicaGone: () => isGone(lease.session),
  });
}

function handedOver(x: Exchange, call: HttpCall, { headers }: Switched): HandedOver {
  const { socket, rest } = takeSocket(x);
  const carried = (carried: Carried): void => {
    x.carried = carried;
  };
  return new HandedOver({ client: socket, early: rest, head: switchedHead(x, headers), call, carried });
}

/** Tells the client that the protocol is switched, and takes its connection; `rest` is what it has sent past its request. */
export function takeConnection(x: Exchange, headers: Switched["headers"]): { socket: Duplex; rest: Buffer } {
  if (x.upgrade instanceof StreamUpgrade)
    return x.upgrade.open([...passedHeaders(headers), ["x-request-id", x.requestId]]);
  const { socket, rest } = takeSocket(x);
  socket.write(switchedHead(x, headers), "latin1");
  return { socket, rest };
}

function takeSocket(x: Exchange): { socket: Socket; rest: Buffer } {
  if (x.upgrade === null || x.upgrade instanceof StreamUpgrade)
    throw new AthanorError("answer_invalid", "a protocol was switched that was not asked for");
  const { socket, rest } = x.upgrade.take();
  socket.setNoDelay(true).setKeepAlive(true, HOP_DEFAULTS.keepAliveProbeMs);
  return { socket, rest };
}

function switchedHead(x: Exchange, headers: Switched["headers"]): string {
  let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  for (const [name, value] of passedHeaders(headers)) head += `${name}: ${value}\r\n`;
  return `${head}x-request-id: ${x.requestId}\r\n\r\n`;
}
