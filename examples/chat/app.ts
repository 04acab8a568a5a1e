// A chat room: a page, and the WebSockets that its readers hold.
//
//   athanor deploy app.ts
//   open http://127.0.0.1:7700/chat/
import { App, upgradeWebSocket } from "athanor";
import page from "./page.html";

const app = new App("chat");

/**
 * Each open WebSocket counts as a call, so `concurrency` is how many people the room holds. They are in the memory of one replica, so there is one;
 * while anybody is in it, it is not stopped.
 */
export const room = app.fetch({ path: "/", concurrency: 1000, maxReplicas: 1 }, () => {
  const people = new Map<WebSocket, string>();

  const tell = (message: { from: string | null; text: string }) => {
    const json = JSON.stringify(message);
    for (const socket of people.keys()) socket.send(json);
  };

  return (request) => {
    const url = new URL(request.url);
    if (url.pathname === "/") return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
    if (url.pathname !== "/socket") return new Response("There is nothing here.\n", { status: 404 });
    if (request.headers.get("upgrade") !== "websocket") return new Response("A WebSocket is here.\n", { status: 426 });

    const { socket, response } = upgradeWebSocket(request);
    const name = (url.searchParams.get("name") || "somebody").slice(0, 40);
    socket.addEventListener("open", () => {
      people.set(socket, name);
      tell({ from: null, text: `${name} has come in` });
    });
    socket.addEventListener("message", ({ data }) => tell({ from: name, text: String(data).slice(0, 1000) }));
    socket.addEventListener("close", () => {
      people.delete(socket);
      tell({ from: null, text: `${name} has left` });
    });
    return response;
  };
});
