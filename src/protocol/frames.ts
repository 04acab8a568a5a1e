import { FrameType, MAX_FRAME_BYTES } from "./replica.ts";

/** `u32 length | u8 type | u32 stream`. */
const HEADER_BYTES = 9;
/** What the length counts besides the payload. */
const COUNTED_HEADER_BYTES = 5;
/** Small frames are gathered in slabs of this size; it comes to one allocation per hundred small answers. */
const SLAB_BYTES = 32 * 1024;
/** Payloads above this go to the socket as they are, not copied into the slab. */
const COPY_MAX_BYTES = 8 * 1024;
/** DATA payloads below this are copied out of the read buffer, so that they do not keep all of it alive. */
const PIN_MIN_BYTES = 4 * 1024;

const FRAME_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/** The other end broke the protocol; its connection cannot go on. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Lays frames out in as few buffers as it can; `take` hands over what has gathered. */
export class FrameEncoder {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #from = 0;
  #at = 0;
  #ready: Uint8Array[] = [];

  /** A frame whose payload is the value as JSON. Throws FrameError over MAX_FRAME_BYTES, and then writes nothing. */
  json(type: FrameType, stream: number, value: unknown): void {
    this.text(type, stream, JSON.stringify(value));
  }

  /** The same for a value that is JSON text already. */
  text(type: FrameType, stream: number, text: string): void {
    // A UTF-16 unit takes at most three bytes in UTF-8, so a small text needs no count beforehand.
    const mostBytes = HEADER_BYTES + text.length * 3;
    if (mostBytes > SLAB_BYTES) {
      this.bytes(type, stream, Buffer.from(text));
      return;
    }
    this.#reserve(mostBytes);
    const payloadBytes = this.#slab.write(text, this.#at + HEADER_BYTES, "utf8");
    this.#header(payloadBytes, type, stream);
    this.#at += payloadBytes;
  }

  /** A frame with these bytes, which must not change until they are written. Throws FrameError over MAX_FRAME_BYTES. */
  bytes(type: FrameType, stream: number, payload: Uint8Array): void {
    if (payload.length + COUNTED_HEADER_BYTES > MAX_FRAME_BYTES)
      throw new FrameError(`A frame of ${payload.length} bytes is over the limit of ${MAX_FRAME_BYTES}`);
    const copied = payload.length <= COPY_MAX_BYTES;
    this.#reserve(HEADER_BYTES + (copied ? payload.length : 0));
    this.#header(payload.length, type, stream);
    if (copied) {
      this.#slab.set(payload, this.#at);
      this.#at += payload.length;
    } else {
      this.#cut();
      this.#ready.push(payload);
    }
  }

  /** A frame with no payload. */
  bare(type: FrameType, stream: number): void {
    this.#reserve(HEADER_BYTES);
    this.#header(0, type, stream);
  }

  /** A frame whose payload is one u32. */
  u32(type: FrameType, stream: number, value: number): void {
    this.#reserve(HEADER_BYTES + 4);
    this.#header(4, type, stream);
    this.#at = this.#slab.writeUInt32BE(value, this.#at);
  }

  /** Everything laid out since the last call, in order. */
  take(): Uint8Array[] {
    this.#cut();
    const taken = this.#ready;
    this.#ready = [];
    return taken;
  }

  #header(payloadBytes: number, type: FrameType, stream: number): void {
    const at = this.#slab.writeUInt32BE(payloadBytes + COUNTED_HEADER_BYTES, this.#at);
    this.#slab[at] = type;
    this.#at = this.#slab.writeUInt32BE(stream, at + 1);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#from = this.#at = 0;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#ready.push(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

export type OnFrame = (type: FrameType, stream: number, payload: Buffer) => void;

/** Takes frames out of bytes that come in any pieces. Holds at most one frame's bytes and one piece. */
export class FrameDecoder {
  /** Frames over this are refused; lower it for a peer that has not said who it is. */
  maxFrameBytes = MAX_FRAME_BYTES;
  readonly #onFrame: OnFrame;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Throws FrameError on a length, type or stream that no frame can have, and what `onFrame` throws. */
  push(piece: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#parse(piece);
      return;
    }
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes < this.#neededBytes) return;
    const joined = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    this.#parse(joined);
  }

  #parse(bytes: Buffer): void {
    let at = 0;
    let neededBytes = 4;
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at);
      if (length < COUNTED_HEADER_BYTES || length > this.maxFrameBytes)
        throw new FrameError(`A frame says it has ${length} bytes; ${this.maxFrameBytes} are allowed`);
      neededBytes = 4 + length;
      if (bytes.length - at < neededBytes) break;
      const type = bytes[at + 4] as FrameType;
      if (!FRAME_TYPES.has(type)) throw new FrameError(`No frame has the type ${type}`);
      const stream = bytes.readUInt32BE(at + 5);
      const payload = bytes.subarray(at + HEADER_BYTES, at + neededBytes);
      at += neededBytes;
      neededBytes = 4;
      this.#onFrame(type, stream, payload);
    }
    if (at === bytes.length) return;
    this.#held.push(bytes.subarray(at));
    this.#heldBytes = bytes.length - at;
    this.#neededBytes = neededBytes;
  }
}

/** The value of a JSON payload. Throws FrameError where it is none. */
export function parsePayload<T>(payload: Buffer): T {
  try {
    return JSON.parse(payload.toString("utf8")) as T;
  } catch (error) {
    throw new FrameError(`A payload is not JSON: ${(error as Error).message}`);
  }
}

/** The bytes of a DATA payload, safe to keep: small ones do not hold on to the read buffer that they came in. */
export function keepPayload(payload: Buffer): Uint8Array {
  return payload.length < PIN_MIN_BYTES ? Uint8Array.prototype.slice.call(payload) : payload;
}
