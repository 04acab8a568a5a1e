import { HTTP_CONNECTION, type OpenHttp } from "../../protocol/replica.ts";
import { HopConnection } from "../hop/connection.ts";
import type { HttpCall, ReplicaSession } from "../replicas/session.ts";
import { FrameStream } from "../websockets/frame-stream.ts";
import type { HopConnections } from "./hop-exchange.ts";

/** One connection to the HTTP server of a service, as a call in frames, which the client's connection can take the place of. */
export class FramedHop implements HopConnections {
  /** Null before it is opened. */
  call: HttpCall | null = null;
  readonly #session: ReplicaSession;
  readonly #message: OpenHttp;

  constructor(session: ReplicaSession, p: { function: string; requestId: string }) {
    this.#session = session;
    this.#message = {
      kind: "http",
      ...p,
      method: "CONNECT",
      url: "",
      headers: [],
      hasBody: false,
      maxBodyBytes: 0,
      upgrade: HTTP_CONNECTION,
      handOver: true,
    };
  }

  take(): HopConnection {
    return this.open();
  }

  /** Throws replica_crashed where the replica takes no calls. */
  open(): HopConnection {
    this.call = this.#session.openHttp(this.#message, null);
    return new HopConnection(new FrameStream(this.call), () => {});
  }

  give(connection: HopConnection): void {
    connection.destroy();
  }
}
