/** Archives in the ustar format, regular files alone, as `tar` reads them: what a backup needs and no more. */
import { AthanorError } from "../../protocol/errors.ts";

export interface TarEntry {
  /** At most 100 ASCII characters. */
  name: string;
  /** Bytes. */
  size: number;
  body: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
/** From the format. */
const AT = { name: 0, mode: 100, uid: 108, gid: 116, size: 124, mtime: 136, checksum: 148, type: 156, magic: 257 };
const MAX_NAME = 100;
const MAX_OCTAL_SIZE = 8 ** 11 - 1;

/** The bytes of an archive. Rejects where a body is not of its size. */
export async function* pack(entries: AsyncIterable<TarEntry>): AsyncGenerator<Uint8Array> {
  for await (const { name, size, body } of entries) {
    yield headerOf(name, size);
    let sent = 0;
    for await (const chunk of body) {
      sent += chunk.byteLength;
      yield chunk;
    }
    if (sent !== size) throw new Error(`${name} has ${sent} bytes, and was to have ${size}`);
    yield Buffer.alloc(paddingOf(size));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** The entries of an archive. Read each one's body before asking for the next. Rejects with backup_invalid. */
export async function* unpack(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = new Source(bytes);
  for (;;) {
    const header = await source.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) return;
    const { name, size } = readHeader(header);
    yield { name, size, body: source.through(size) };
    await source.exactly(paddingOf(size));
  }
}

const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

function headerOf(name: string, size: number): Buffer {
  if (name.length > MAX_NAME) throw new Error(`${name} is too long a name`);
  const header = Buffer.alloc(BLOCK);
  const octal = (at: number, value: number, digits: number): void => {
    header.write(value.toString(8).padStart(digits, "0"), at, "latin1");
  };
  header.write(name, AT.name, "latin1");
  octal(AT.mode, 0o600, 7);
  octal(AT.uid, 0, 7);
  octal(AT.gid, 0, 7);
  if (size <= MAX_OCTAL_SIZE) octal(AT.size, size, 11);
  else {
    // As GNU tar has it: a first byte of 128, then the number.
    header.writeUInt8(0x80, AT.size);
    header.writeBigUInt64BE(BigInt(size), AT.size + 4);
  }
  octal(AT.mtime, 0, 11);
  header.write("0", AT.type, "latin1");
  header.write("ustar\0" + "00", AT.magic, "latin1");
  octal(AT.checksum, checksumOf(header), 6);
  header.write("\0 ", AT.checksum + 6, "latin1");
  return header;
}

function readHeader(header: Buffer): { name: string; size: number } {
  const text = (at: number, length: number): string =>
    header.toString("latin1", at, at + length).replace(/[\0 ].*$/s, "");
  if (Number.parseInt(text(AT.checksum, 8), 8) !== checksumOf(header)) throw invalid("a header's checksum is wrong");
  const type = String.fromCharCode(header[AT.type] ?? 0);
  const name = text(AT.name, MAX_NAME);
  if (type !== "0") throw invalid(`${name} is not a regular file`);
  const isLarge = header[AT.size] === 0x80;
  const size = isLarge ? Number(header.readBigUInt64BE(AT.size + 4)) : Number.parseInt(text(AT.size, 12), 8);
  if (!Number.isSafeInteger(size)) throw invalid(`the size of ${name} is no number`);
  return { name, size };
}

/** Its own field counts as spaces. */
function checksumOf(header: Buffer): number {
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= AT.checksum && at < AT.checksum + 8 ? 0x20 : byte;
  return sum;
}

/** Bytes in the pieces that are asked for. */
class Source {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#chunks = bytes[Symbol.asyncIterator]();
  }

  async exactly(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.through(length)) parts.push(part);
    return Buffer.concat(parts);
  }

  async *through(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next();
        if (done === true) throw invalid("it ends too early");
        this.#rest = Buffer.from(value);
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      if (part.length > 0) yield part;
    }
  }
}

const invalid = (why: string): AthanorError =>
  new AthanorError("backup_invalid", `The archive cannot be read: ${why}.`);
