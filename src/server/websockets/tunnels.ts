import type { Duplex } from "node:stream";
import { CloseCode } from "./frames.ts";
import { Tunnel } from "./tunnel.ts";

export interface NewTunnel {
  client: Duplex;
  service: Duplex;
  rest: { client: Buffer; service: Buffer };
  /** Aborts when those of its replicas are to end. */
  ending: AbortSignal;
  isReplicaGone: () => Promise<boolean>;
}

/** The open WebSockets, by what ends them, so that ten thousand of them are one listener of a signal. */
export class Tunnels {
  readonly #bySignal = new Map<AbortSignal, Set<Tunnel>>();
  readonly #stopping: AbortSignal;

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
    stopping.addEventListener("abort", () => {
      for (const ending of this.#bySignal.keys()) this.#leave(ending, "the server stops");
    });
  }

  open(p: NewTunnel): Tunnel {
    const tunnel = new Tunnel(p);
    const open = this.#openOf(p.ending);
    open.add(tunnel);
    void tunnel.done.then(() => {
      open.delete(tunnel);
      if (open.size === 0 && this.#bySignal.get(p.ending) === open) this.#bySignal.delete(p.ending);
    });
    // It was asked for before, and answered after.
    if (p.ending.aborted || this.#stopping.aborted) tunnel.leave(CloseCode.goingAway, "");
    return tunnel;
  }

  #openOf(ending: AbortSignal): Set<Tunnel> {
    const known = this.#bySignal.get(ending);
    if (known) return known;
    const open = new Set<Tunnel>();
    this.#bySignal.set(ending, open);
    ending.addEventListener("abort", () => this.#leave(ending, "a newer deployment is live"), { once: true });
    return open;
  }

  #leave(ending: AbortSignal, reason: string): void {
    for (const tunnel of this.#bySignal.get(ending) ?? []) tunnel.leave(CloseCode.goingAway, reason);
  }
}
