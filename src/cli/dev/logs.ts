import type { LogLine } from "../../protocol/wire.ts";
import type { Api } from "../../sdk/client/api.ts";
import { followLogs } from "../follow-logs.ts";

/** Older deployments still drain when a newer one is live. */
const FOLLOWED = 3;

/** The lines of the newest deployments, as their replicas write them. */
export class DeploymentLogs {
  readonly #api: Api;
  readonly #onLine: (line: LogLine) => void;
  readonly #followed = new Map<string, AbortController>();

  constructor(api: Api, onLine: (line: LogLine) => void) {
    this.#api = api;
    this.#onLine = onLine;
  }

  /** `fromStart`: with what it has written so far. */
  follow(deployment: string, p: { fromStart: boolean }): void {
    if (this.#followed.has(deployment)) return;
    const left = new AbortController();
    this.#followed.set(deployment, left);
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > FOLLOWED && oldest !== undefined) this.#leave(oldest);
    void this.#read(deployment, { ...(p.fromStart ? {} : { limit: 0 }), signal: left.signal });
  }

  stop(): void {
    for (const deployment of [...this.#followed.keys()]) this.#leave(deployment);
  }

  #leave(deployment: string): void {
    this.#followed.get(deployment)?.abort();
    this.#followed.delete(deployment);
  }

  async #read(deployment: string, p: { limit?: number; signal: AbortSignal }): Promise<void> {
    try {
      for await (const line of followLogs(this.#api, deployment, p)) this.#onLine(line);
    } catch {
      // Left, or the server stops.
    }
  }
}
