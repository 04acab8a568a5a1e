import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { SOCKET_COMMAND, type SocketMessage } from "../protocol/replica.ts";

/** What is Node's own of a socket. */
interface Internals {
  _handle: { readStop(): void; close(): void } | null;
  server: unknown;
}

interface Waiting {
  message: SocketMessage;
  socket: Socket;
  failed: () => void;
}

const TAKEN = "NODE_HANDLE_ACK";

/**
 * Gives a child process sockets, over Node's IPC channel, the only way that can carry them. Node sends the next when the child has said that it has the one
 * before, and goes through all that wait each time; so they wait here.
 *
 *   idle --give()--> sending --the child has it, none waits--> idle
 */
export class SocketChannel {
  readonly #child: ChildProcess;
  readonly #waiting: Waiting[] = [];
  #isSending = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on("internalMessage", (message: { cmd?: unknown }) => {
      if (message.cmd === TAKEN) this.#next();
    });
    child.once("exit", () => {
      for (const { failed } of this.#waiting.splice(0)) failed();
    });
  }

  /** See ReplicaProcess.giveSocket. */
  give(message: SocketMessage, socket: Socket, failed: () => void): void {
    const own = socket as unknown as Internals;
    const handle = own._handle;
    // What the handle reads once it is on its way is lost.
    handle?.readStop();
    // Node closes it when the child has it, and so never where the child dies before; that it is closed twice does no harm.
    socket.once("close", () => handle?.close());
    // Else Node asks the child after it each time that the server's connections are counted, or the server is closed.
    own.server = null;
    this.#waiting.push({ message, socket, failed });
    if (!this.#isSending) this.#next();
  }

  #next(): void {
    const next = this.#waiting.shift();
    this.#isSending = next !== undefined;
    if (next === undefined) return;
    const { message, socket, failed } = next;
    // The client has left: there is nothing to give.
    if (socket.destroyed) this.#next();
    else if (!this.#child.connected) {
      failed();
      this.#next();
    } else
      this.#child.send({ cmd: SOCKET_COMMAND, ...message }, socket, (error) => {
        if (error !== null) failed();
      });
  }
}
