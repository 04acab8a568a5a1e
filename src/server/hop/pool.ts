import { HOP_DEFAULTS } from "../../protocol/defaults.ts";
import type { ServiceAddress } from "../../protocol/replica.ts";
import { HopConnection } from "./connection.ts";

/**
 * The connections to one replica's service that are idle, newest last. A service that closes idle ones does so just as one is used, now and
 * then; so none is kept for as long as the service would keep it, and what may not be sent twice is only sent on one used a moment ago.
 */
export class HopPool {
  readonly #address: ServiceAddress;
  readonly #maxIdle: number;
  readonly #idle: HopConnection[] = [];
  #sweep: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(address: ServiceAddress, p: { maxIdle: number }) {
    this.#address = address;
    this.#maxIdle = p.maxIdle;
  }

  /** `repeatable`: the request may be sent again should the connection turn out to be closed. */
  take(p: { repeatable: boolean }): HopConnection {
    const now = Date.now();
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (now >= connection.idleUntil || !connection.isOpen) {
        connection.destroy();
        continue;
      }
      if (p.repeatable || now - connection.idleSince < HOP_DEFAULTS.surelyOpenMs) return connection;
      // Those below have idled for longer.
      this.#idle.push(connection);
      break;
    }
    return this.open();
  }

  open(): HopConnection {
    return HopConnection.to(this.#address, (connection) => this.#forget(connection));
  }

  /** Takes back a connection whose exchange is over; `keepAliveS`: what the service said of how long it keeps it. */
  give(connection: HopConnection, keepAliveS: number | null): void {
    if (!connection.idle() || this.#isClosed || this.#idle.length >= this.#maxIdle) {
      connection.destroy();
      return;
    }
    const keptMs = keepAliveS === null ? HOP_DEFAULTS.idleMs : keepAliveS * 1000 - HOP_DEFAULTS.idleMarginMs;
    connection.idleSince = Date.now();
    connection.idleUntil = connection.idleSince + Math.min(keptMs, HOP_DEFAULTS.maxIdleMs);
    this.#idle.push(connection);
    this.#sweep ??= setTimeout(() => this.#sweepIdle(), HOP_DEFAULTS.idleMs).unref();
  }

  /** The idle ones are closed, and those that are busy when they come back. */
  close(): void {
    this.#isClosed = true;
    if (this.#sweep) clearTimeout(this.#sweep);
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #sweepIdle(): void {
    this.#sweep = null;
    const now = Date.now();
    for (const connection of this.#idle.filter(({ idleUntil }) => idleUntil <= now)) connection.destroy();
    if (this.#idle.length > 0) this.#sweep = setTimeout(() => this.#sweepIdle(), HOP_DEFAULTS.idleMs).unref();
  }

  #forget(connection: HopConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}
