import type { Socket } from "node:net";
import type { Call } from "../call.ts";
import { HttpHead } from "../http-head.ts";
import type { Logs } from "../logs.ts";
import { ClientSocket } from "./client-socket.ts";

/** Runs one connection to the HTTP server of a service, until it is closed. Never throws. */
export async function runConnection(p: { call: Call; connect: (socket: Socket) => void; logs: Logs }): Promise<void> {
  const { call, logs } = p;
  const socket = new ClientSocket(call, { keepsHead: false, handsOver: true });
  new HttpHead(call).head(101, []);
  // What breaks it is told to whoever listens by its close.
  socket.on("error", () => {});
  p.connect(socket);
  await socket.over;
  logs.finish(call);
}
