const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;

interface BufferLike {
  from(text: string, encoding: "base64"): Uint8Array;
  from(bytes: ArrayBufferLike, offset: number, length: number): { toString(encoding: "base64"): string };
}

// Node, Deno and Bun have Buffer, which is many times faster than atob; browsers do not.
const buffer = (globalThis as { Buffer?: BufferLike }).Buffer;

/** The bytes, or null where the text is not base64. The URL-safe alphabet is not taken. */
export function fromBase64(text: string): Uint8Array | null {
  if (!BASE64.test(text)) return null;
  if (buffer) return new Uint8Array(buffer.from(text, "base64"));
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

export function toBase64(bytes: Uint8Array): string {
  if (buffer) return buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(binary);
}
