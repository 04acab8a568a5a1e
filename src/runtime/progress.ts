import { FrameType, type ProgressMessage } from "../protocol/replica.ts";
import type { Call } from "./call.ts";

/** Progress reports of one turn that are sent one by one; of more, the newest stands for the rest. */
const MAX_PROGRESS_PER_TURN = 32;

/** Sends a turn's reports together, in order; of a flood, the first few and the newest. */
export class ProgressReports {
  readonly #call: Call;
  #waiting: ProgressMessage[] = [];
  #scheduled = false;

  constructor(call: Call) {
    this.#call = call;
  }

  report(message: ProgressMessage): void {
    if (this.#call.finished) return;
    if (this.#waiting.length >= MAX_PROGRESS_PER_TURN) this.#waiting.pop();
    this.#waiting.push(message);
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (this.#call.connection.backlogged) void this.#call.connection.drained().then(() => this.flush());
    else setImmediate(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#call.finished) return;
    for (const message of this.#waiting) this.#call.connection.json(FrameType.PROGRESS, this.#call.stream, message);
    this.#waiting = [];
  }
}
