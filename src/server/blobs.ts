import type { Readable } from "node:stream";

export interface BlobParams {
  /** `<data>/blobs`; made where it is absent. */
  dir: string;
}

export interface BlobStream {
  sizeBytes: number;
  /** The bytes asked for. */
  body: Readable;
}

/** Content-addressed files: `<dir>/ab/ab12…`, named by the SHA-256 (hex) of what they hold. */
export class Blobs {
  constructor(_p: BlobParams) {}

  /** Makes the folder and removes what interrupted writes left behind. */
  start(): Promise<void> {
    throw new Error("not written yet");
  }

  /** Resolves with the SHA-256 once the bytes are on disk. Throws `storage_full`. */
  put(_bytes: Uint8Array): Promise<string> {
    throw new Error("not written yet");
  }

  get(_sha256: string): Promise<Uint8Array | null> {
    throw new Error("not written yet");
  }

  size(_sha256: string): Promise<number | null> {
    throw new Error("not written yet");
  }

  /** `start` and `end` are byte positions, both inclusive, as in HTTP ranges. Null where there is no such blob. */
  open(_sha256: string, _range?: { start: number; end: number }): Promise<BlobStream | null> {
    throw new Error("not written yet");
  }

  remove(_hashes: string[]): Promise<void> {
    throw new Error("not written yet");
  }

  /**
   * Removes blobs that no job needs and that have not been put for `minAgeMs` (a job that names them may be about to be stored).
   * `unreferenced` is the store's blobUnreferenced. Returns how many.
   */
  sweep(_p: { unreferenced(p: { hashes: string[] }): Promise<string[]>; minAgeMs: number; now: number }): Promise<number> {
    throw new Error("not written yet");
  }
}
