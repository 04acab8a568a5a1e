import type { Sharp } from "sharp";
import { AthanorError } from "../protocol/errors.ts";
import { type MediaJson, sniffImage } from "../protocol/media.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { nodeModule } from "./node.ts";
import { requireSharp } from "./sharp.ts";

/** Methods under this symbol give a media value's bytes to whoever encodes it, in whatever copy of this module it was made. */
export const MEDIA = Symbol.for("athanor.media");

export interface MediaContent {
  bytes: Uint8Array;
  fileName: string;
  contentType: string;
}

export interface MediaInit {
  /** Shown to whoever downloads it. Default: `image` with the extension of its kind. Folders in it are dropped. */
  fileName?: string | undefined;
}

/** What `ImageFile.from` takes. A string is a data URI, a path where it looks like one, or base64. */
export type MediaSource =
  | Uint8Array
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | URL
  | string
  | ImageFile;

const INSPECT = Symbol.for("nodejs.util.inspect.custom");

const DATA_URI = /^data:([^,;]*)((?:;[^,;]*)*),/i;

/**
 * An image: its bytes, a file name, and the content type that its first bytes show. It never changes. As a parameter it takes
 * an uploaded part, a data URI, base64, or `{file_name, content_type, content}`; returned, it is sent as such an object.
 * @throws AthanorError `media_invalid` where the bytes are no image of a known kind (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF, HEIC, ICO, SVG).
 */
export class ImageFile {
  readonly #content: MediaContent;

  constructor(bytes: Uint8Array, init: MediaInit = {}) {
    const kind = sniffImage(bytes);
    if (kind === null) throw notAnImage(bytes);
    const fileName = init.fileName?.replace(/^.*[/\\]/, "") || `image.${kind.extension}`;
    this.#content = { bytes, fileName, contentType: kind.contentType };
  }

  /** True for an image of any copy of this class. */
  static [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && MEDIA in value;
  }

  static fromBytes(bytes: Uint8Array | ArrayBuffer, init?: MediaInit): ImageFile {
    return new ImageFile(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes), init);
  }

  static fromBase64(text: string, init?: MediaInit): ImageFile {
    const bytes = fromBase64(text);
    if (bytes === null) throw new AthanorError("media_invalid", `text of ${text.length} characters is not base64`);
    return new ImageFile(bytes, init);
  }

  /** `data:image/png;base64,...`, or one whose data is percent-encoded. */
  static fromDataUri(uri: string, init?: MediaInit): ImageFile {
    const match = DATA_URI.exec(uri);
    if (match === null)
      throw new AthanorError("media_invalid", "text does not begin as a data URI does: data:image/png;base64,");
    const data = uri.slice(match[0].length);
    if (/;base64$/i.test(match[2] ?? "")) return ImageFile.fromBase64(data, init);
    return new ImageFile(new TextEncoder().encode(decodeData(data)), init);
  }

  /** From the object form that an API answers with; the content must be in it. */
  static fromJson(json: MediaJson): ImageFile {
    if (json.content === undefined) {
      throw new AthanorError("media_invalid", `${json.file_name} has no content of its own, only a URL`);
    }
    return ImageFile.fromBase64(json.content, { fileName: json.file_name });
  }

  /** Reads a file of the machine that runs this code. Node, Deno and Bun only. */
  static async fromPath(path: string | URL, init: MediaInit = {}): Promise<ImageFile> {
    const bytes = await nodeModule("node:fs/promises").readFile(path);
    return new ImageFile(bytes, { fileName: init.fileName ?? decodeURIComponent(String(path)) });
  }

  static async fromBlob(blob: Blob, init: MediaInit = {}): Promise<ImageFile> {
    const name = "name" in blob && typeof blob.name === "string" ? blob.name : undefined;
    return new ImageFile(new Uint8Array(await blob.arrayBuffer()), { fileName: init.fileName ?? name });
  }

  static async fromStream(stream: AsyncIterable<Uint8Array>, init?: MediaInit): Promise<ImageFile> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of stream) chunks.push(new Uint8Array(chunk));
    return new ImageFile(new Uint8Array(await new Blob(chunks).arrayBuffer()), init);
  }

  /**
   * From whatever code may have at hand. http and https URLs are refused: fetch them first, under limits of your own, and give the Response's bytes.
   */
  static async from(source: MediaSource, init?: MediaInit): Promise<ImageFile> {
    if (source instanceof ImageFile) return source as ImageFile;
    if (source instanceof Uint8Array || source instanceof ArrayBuffer) return ImageFile.fromBytes(source, init);
    if (source instanceof Blob) return ImageFile.fromBlob(source, init);
    if (source instanceof URL) return fromUrl(source, init);
    if (typeof source !== "string") return ImageFile.fromStream(source, init);
    if (/^data:/i.test(source)) return ImageFile.fromDataUri(source, init);
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return fromUrl(new URL(source), init);
    // Base64 has neither dots nor backslashes, and one of an image never begins with a slash but for JPEG's own "/9j/".
    const looksLikePath = /[.\\~]/.test(source) || (source.startsWith("/") && !source.startsWith("/9j/"));
    return looksLikePath ? ImageFile.fromPath(source, init) : ImageFile.fromBase64(source, init);
  }

  /** Bytes. */
  get size(): number {
    return this.#content.bytes.length;
  }

  /** By content, whatever the sender said: `image/png`. */
  get contentType(): string {
    return this.#content.contentType;
  }

  get fileName(): string {
    return this.#content.fileName;
  }

  async bytes(): Promise<Uint8Array> {
    return this.#content.bytes;
  }

  async base64(): Promise<string> {
    return toBase64(this.#content.bytes);
  }

  async blob(): Promise<Blob> {
    return new Blob([new Uint8Array(this.#content.bytes)], { type: this.contentType });
  }

  stream(): ReadableStream<Uint8Array> {
    const { bytes } = this.#content;
    return new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        controller.close();
      },
    });
  }

  /**
   * The image opened with sharp: the project's own where it has one, else Athanor's.
   * @throws Error where neither can be loaded (a browser has none).
   */
  sharp(): Sharp {
    return requireSharp()(this.#content.bytes);
  }

  /** Writes the bytes to a file. Node, Deno and Bun only. */
  async save(path: string | URL): Promise<void> {
    await nodeModule("node:fs/promises").writeFile(path, this.#content.bytes);
  }

  /** What JSON.stringify makes of it: the object form, with its content. */
  toJSON(): MediaJson {
    return { file_name: this.fileName, content_type: this.contentType, content: toBase64(this.#content.bytes) };
  }

  /** What console.log shows of it in Node: its content is private. */
  [INSPECT](): string {
    return `ImageFile { ${this.fileName}, ${this.contentType}, ${this.size} bytes }`;
  }

  [MEDIA](): MediaContent {
    return this.#content;
  }
}

function fromUrl(url: URL, init?: MediaInit): Promise<ImageFile> {
  if (url.protocol === "file:") return ImageFile.fromPath(url, init);
  throw new AthanorError(
    "media_invalid",
    `cannot read ${url.protocol}//${url.host}: images are not fetched from URLs`,
    {
      hint: "Fetch it yourself and give the bytes: ImageFile.fromBytes(await (await fetch(url)).arrayBuffer()).",
    },
  );
}

function decodeData(data: string): string {
  try {
    return decodeURIComponent(data);
  } catch {
    throw new AthanorError("media_invalid", "the data URI's percent-encoding is broken");
  }
}

function notAnImage(bytes: Uint8Array): AthanorError {
  const shown = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const what = bytes.length === 0 ? "0 bytes are" : `${bytes.length} bytes that begin with ${shown} are`;
  return new AthanorError("media_invalid", `${what} no image of a known kind`);
}
