/** The way by which a child process is given sockets: Node's IPC channel, the only one that can carry them. */
import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { SOCKET_COMMAND, type SocketMessage } from "../protocol/replica.ts";

/** What is Node's own of a socket. */
interface Internals {
  _handle: { readStop(): void; close(): void } | null;
  server: unknown;
}

/** See ReplicaProcess.giveSocket. */
export function sendSocket(child: ChildProcess, message: SocketMessage, socket: Socket, failed: () => void): void {
  const own = socket as unknown as Internals;
  const handle = own._handle;
  // What the handle reads once it is on its way is lost, and the channel may be a while in taking it.
  handle?.readStop();
  // Node closes it when the child says that it has come, and so never where the child has died before; that it is closed twice does no harm.
  socket.once("close", () => handle?.close());
  // Else Node asks the child after it each time that the server's connections are counted, or the server is closed.
  own.server = null;
  if (!child.connected) failed();
  else
    child.send({ cmd: SOCKET_COMMAND, ...message }, socket, (error) => {
      if (error !== null) failed();
    });
}
