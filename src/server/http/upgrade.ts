import type { IncomingMessage, ServerResponse as Response } from "node:http";
import type { Socket } from "node:net";

// Not imported, as in listener.ts.
const { ServerResponse } = process.getBuiltinModule("node:http");

/** What a client may send before its request to switch is answered; none that is known sends anything. */
const MAX_EARLY_BYTES = 64 * 1024;

interface NewUpgrade {
  socket: Socket;
  /** What the client has sent past its request. */
  head: Buffer;
  /** Called when the connection is taken. */
  taken(): void;
}

/** Whether the client asks to switch to WebSocket. A request with a body is answered as any other: the protocol knows none. */
export function asksForWebSocket(req: IncomingMessage): boolean {
  const { upgrade, connection } = req.headers;
  if (upgrade === undefined) return false;
  const hasBody = req.headers["transfer-encoding"] !== undefined || (req.headers["content-length"] ?? "0") !== "0";
  return (
    req.method === "GET" &&
    req.httpVersion === "1.1" &&
    !hasBody &&
    /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(connection ?? "") &&
    /^websocket$/i.test(upgrade)
  );
}

/**
 * A request to switch to WebSocket. Node reads its connection no more, so it is watched here: a client may leave while its service starts.
 *
 *   waiting --take()--> taken: the connection is the taker's
 *   waiting --an ordinary answer--> the connection ends with it
 */
export class Upgrade {
  readonly #socket: Socket;
  readonly #res: Response;
  readonly #taken: () => void;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;

  private constructor(p: NewUpgrade, res: Response) {
    const { socket } = p;
    this.#socket = socket;
    this.#res = res;
    this.#taken = p.taken;
    socket.on("error", () => {});
    socket.setTimeout(0);
    this.#keep(p.head);
    socket.on("data", this.#keep).on("end", this.#left).resume();
  }

  /** Of Node's `upgrade` event; `res` answers the request where the protocol is not switched. */
  static begin(req: IncomingMessage, p: NewUpgrade): { res: Response; upgrade: Upgrade } {
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(p.socket);
    res.once("finish", () => p.socket.destroySoon());
    return { res, upgrade: new Upgrade(p, res) };
  }

  /** The client's connection, and what it has sent past its request. */
  take(): { socket: Socket; rest: Buffer } {
    this.#res.detachSocket(this.#socket);
    this.#taken();
    this.#socket.off("data", this.#keep).off("end", this.#left).pause();
    return { socket: this.#socket, rest: Buffer.concat(this.#early) };
  }

  readonly #keep = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    this.#early.push(bytes);
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > MAX_EARLY_BYTES) this.#socket.destroy();
  };

  readonly #left = (): void => void this.#socket.destroy();
}
