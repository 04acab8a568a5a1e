import type { ServiceAddress } from "../../protocol/replica.ts";
import { HOST, isOpen, listeningHere } from "./ports.ts";

const FIRST_LOOK_MS = 5;
const LOOK_MS = 50;

/** Watches where a server that is starting listens. */
export class BoundPort {
  /** What it was given, by `PORT`. */
  readonly given: number;
  /** What it binds where it does not heed that. */
  readonly declared: number;
  /** Somebody else has the declared port: what is open there is not ours. */
  readonly declaredIsTaken: boolean;
  #stopped = false;

  private constructor(p: { given: number; declared: number; declaredIsTaken: boolean }) {
    this.given = p.given;
    this.declared = p.declared;
    this.declaredIsTaken = p.declaredIsTaken;
  }

  /** Before the server is started. */
  static async watch(p: { given: number; declared: number }): Promise<BoundPort> {
    return new BoundPort({ ...p, declaredIsTaken: await isOpen(p.declared) });
  }

  /** Resolves once it listens on the one or the other. */
  async found(): Promise<Extract<ServiceAddress, { port: number }>> {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LOOK_MS)) {
      if (await isOpen(this.given)) return { host: HOST, port: this.given };
      const seen = await listeningHere();
      const own = [this.given, this.declared].map((port) => seen?.find((at) => at.port === port));
      const found = own[0] ?? own[1];
      if (found !== undefined) return found;
      if (seen === null && !this.declaredIsTaken && (await isOpen(this.declared)))
        return { host: HOST, port: this.declared };
      if (this.#stopped) throw new Error("The server is not waited for any more");
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Where it listens now, for who waited in vain. */
  async describe(): Promise<string> {
    const seen = (await listeningHere()) ?? [];
    const wanted = `neither on PORT, ${this.given}, nor on ${this.declared}`;
    const others = [...new Set(seen.map(({ port }) => port))];
    const elsewhere = others.length === 0 ? "" : `, but on ${others.join(" and ")}`;
    return `it listens ${wanted}${elsewhere}${this.declaredIsTaken ? `; ${this.taken}` : ""}`;
  }

  get taken(): string {
    return `another process of this machine has port ${this.declared}`;
  }
}
