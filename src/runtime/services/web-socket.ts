import type { IncomingMessage } from "node:http";
import { WebSocketServer, type WebSocket as WsWebSocket } from "ws";
import { AthanorError } from "../../protocol/errors.ts";
import type { OpenHttp } from "../../protocol/replica.ts";
import { UPGRADE, type UpgradeOptions } from "../../sdk/upgrade.ts";
import type { HttpAnswer } from "../http-face.ts";
import type { SwitchingSocket } from "./switching-socket.ts";

const ACCEPT = "sec-websocket-accept";
/** As the `ws` package has it. */
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;

interface Accepted {
  socket: WsWebSocket;
  /** Of the answer with status 101. */
  headers: [string, string][];
}

/**
 * A request that asks to become a WebSocket.
 *
 *   asked    --accept(): the code took it-->                 accepted   what it sends waits
 *   accepted --the code returned the response-->             open       101; the socket says `open`
 *   accepted --it returned another, or threw-->              closed     the socket is closed, nothing of it was sent
 *   open     --closing frames, the connection's end-->       closed
 */
export class Upgrade {
  readonly #open: OpenHttp;
  readonly #socket: SwitchingSocket;
  #accepted: Accepted | null = null;

  constructor(socket: SwitchingSocket, open: OpenHttp, request: Request) {
    this.#open = open;
    this.#socket = socket;
    Object.defineProperty(request, UPGRADE, { value: (options: UpgradeOptions) => this.#accept(options) });
  }

  /** Whether the code has returned the response that `accept` gave it; frameworks may have copied it, and added headers. */
  isAnsweredBy(response: Response): boolean {
    const key = this.#accepted?.headers.find(([name]) => name === ACCEPT)?.[1];
    return key !== undefined && response.headers.get(ACCEPT) === key;
  }

  /** Sends the 101, and resolves once the socket is closed. */
  async serve(answer: Pick<HttpAnswer, "head">, response: Response): Promise<void> {
    const { socket, headers } = this.#accepted as Accepted;
    const added = [...response.headers].filter(([name]) => !headers.some(([own]) => own === name));
    answer.head(101, [...headers, ...added]);
    this.#socket.open();
    // In a turn of its own: the code may set its listeners after it has returned the response to its framework. Not where the client has left
    // meanwhile, or the code has cut the socket itself.
    if (!this.#socket.destroyed) setImmediate(() => socket.emit("open"));
    await this.#socket.over;
  }

  /** Says goodbye to the client of an open one, where nobody else does. The code hears of it as of any closing. */
  leave(code: number, reason: string): void {
    this.#accepted?.socket.close(code, reason);
  }

  /** Cuts it. */
  cut(): void {
    this.#accepted?.socket.terminate();
  }

  #accept({ protocol, perMessageDeflate = false, maxMessageBytes = MAX_MESSAGE_BYTES }: UpgradeOptions) {
    if (this.#accepted) throw new TypeError("upgradeWebSocket was called twice for one request");
    const headers = Object.fromEntries(this.#open.headers);
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (protocol !== undefined && protocol !== "" && !offered.includes(protocol))
      throw new TypeError(
        `The protocol ${JSON.stringify(protocol)} is none of those that the client offers: ${offered.join(", ") || "none"}`,
      );
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate,
      maxPayload: maxMessageBytes,
      handleProtocols: () => protocol || false,
    });
    let socket: WsWebSocket | null = null;
    const request = { method: this.#open.method, headers: { ...headers, upgrade: "websocket" } };
    server.handleUpgrade(
      request as unknown as IncomingMessage,
      this.#socket,
      Buffer.alloc(0),
      (made) => (socket = made),
    );
    const [status = "", ...lines] = this.#socket.head.split("\r\n");
    if (socket === null)
      throw new AthanorError("bad_request", `the request is no WebSocket handshake: ${lines.at(-1)} (${status})`, {
        headers: { "sec-websocket-version": "13" },
        hint: "Send Sec-WebSocket-Version: 13, and a Sec-WebSocket-Key of 16 bytes in base64.",
      });
    return this.#taken(socket, lines);
  }

  #taken(socket: WsWebSocket, lines: string[]): { socket: WsWebSocket; response: Response } {
    const headers = lines.flatMap((line): [string, string][] => {
      const at = line.indexOf(":");
      return at < 0 ? [] : [[line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]];
    });
    socket.binaryType = "blob" as never;
    // What breaks the protocol's rules closes the socket. A WebSocket of a browser says so by an event that nobody need listen to, and that of `ws`
    // by one that ends the process where nobody does: a client could end the replica by a frame.
    socket.on("error", () => {});
    this.#accepted = { socket, headers };
    return { socket, response: new Response(null, { headers }) };
  }
}
