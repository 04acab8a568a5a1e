/** What a side says when it closes (RFC 6455, 7.4.1, and IANA's registry). */
export const CloseCode = {
  /** The service's deployment was replaced, or the server stops. */
  goingAway: 1001,
  /** The replica has died; another may be there for the next connection. */
  serviceRestart: 1012,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

const CLOSE_OPCODE = 0x8;
const FIN = 0x80;
const MASKED = 0x80;

/** A closing frame as a server sends it. The reason has at most 123 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const text = Buffer.from(reason);
  const frame = Buffer.allocUnsafe(4 + text.length);
  frame[0] = FIN | CLOSE_OPCODE;
  frame[1] = 2 + text.length;
  frame.writeUInt16BE(code, 2);
  text.copy(frame, 4);
  return frame;
}

/**
 * Follows the frames that a service sends, so that a closing frame of the gateway's can be put between two of them. It looks at heads alone: what
 * the frames bear, and whether they are right, is between the two ends.
 *
 *   boundary --first bytes of a head--> head --the head is whole--> payload --its last byte--> boundary
 */
export class FrameTracker {
  /** A frame that closes has begun. */
  closing = false;
  #payloadLeft = 0;
  #headBytes = 0;
  #headLength = 2;
  #extendedEnd = 2;
  #opcode = 0;

  get atBoundary(): boolean {
    return this.#payloadLeft === 0 && this.#headBytes === 0;
  }

  /** Takes what was sent. Returns where in it a frame first ended, 0 where one had before it, -1 where none has. */
  push(bytes: Buffer): number {
    let first = this.atBoundary ? 0 : -1;
    let at = 0;
    while (at < bytes.length) {
      if (this.#headBytes === 0 && this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, bytes.length - at);
        this.#payloadLeft -= taken;
        at += taken;
      } else this.#headByte(bytes[at++] as number);
      if (first < 0 && this.atBoundary) first = at;
    }
    return first;
  }

  #headByte(byte: number): void {
    const index = this.#headBytes++;
    if (index === 0) {
      this.#opcode = byte & 0x0f;
      this.#headLength = 2;
    } else if (index === 1) {
      const length = byte & 0x7f;
      const lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
      this.#headLength = 2 + lengthBytes + ((byte & MASKED) === 0 ? 0 : 4);
      this.#extendedEnd = 2 + lengthBytes;
      this.#payloadLeft = lengthBytes === 0 ? length : 0;
    } else if (index < this.#extendedEnd) {
      // Past 2^53 a number is not exact; no connection lives to carry so much.
      this.#payloadLeft = this.#payloadLeft * 256 + byte;
    }
    if (this.#headBytes < this.#headLength || index === 0) return;
    if (this.#opcode === CLOSE_OPCODE) this.closing = true;
    this.#headBytes = 0;
  }
}
