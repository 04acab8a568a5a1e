import type { Duplex } from "node:stream";

/**
 * The connection of an exchange that switches protocols, as a WebSocket server has it: what is read came from the client, what is written goes
 * there. The first write is the head of the answer, and is kept; all after it waits for `open`.
 */
export interface SwitchingSocket extends Duplex {
  /** Empty until it was written. */
  readonly head: string;
  /** Nothing of it is left. */
  readonly over: Promise<void>;
  /** The answer's head has left. */
  open(): void;
}
