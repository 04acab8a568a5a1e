/** Node's IPC channel of this process, over which the server gives it connections of clients. */
import { Socket } from "node:net";
import { SOCKET_COMMAND, type SocketMessage } from "../protocol/replica.ts";

/**
 * Takes what comes over the channel, and hides it from user code: programs look for `process.send` to know whether their own supervisor has started
 * them. False: there is none. Call it before any user code runs.
 */
export function takeSockets(take: (message: SocketMessage, socket: Socket) => void): boolean {
  if (process.channel === undefined) return false;
  process.on("internalMessage", (message: SocketMessage & { cmd?: unknown }, socket: unknown) => {
    // A socket that was closed on its way comes as nothing.
    if (message.cmd === SOCKET_COMMAND && socket instanceof Socket) take(message, socket);
  });
  // Node itself uses what is left under these names, and ends the channel by `disconnect` when the server is gone; so does the process.
  Reflect.deleteProperty(process, "send");
  Object.defineProperty(process, "disconnect", { value: () => {}, enumerable: false });
  for (const name of ["channel", "connected"]) Object.defineProperty(process, name, { enumerable: false });
  return true;
}
