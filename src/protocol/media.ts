/** A media value as plain JSON, returned or sent. `url` alone where the content is over MEDIA_INLINE_MAX_BYTES. */
export interface MediaJson {
  file_name: string;
  content_type: string;
  /** base64 */
  content?: string;
  url?: string | null;
}

/**
 * A media value inside a stored job or a frame: the bytes travel apart. In a frame `$media` is the index of the
 * attachment in the same stream; in a stored job it is the SHA-256 of a blob.
 */
export interface MediaRef {
  $media: number | string;
  file_name: string;
  content_type: string;
}

export const MEDIA_INLINE_MAX_BYTES = 1024 * 1024;

export interface Signature {
  contentType: string;
  extension: string;
  matches(bytes: Uint8Array): boolean;
}

const ascii = (bytes: Uint8Array, at: number, text: string): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
};

/** The image kinds that are recognised by their first bytes, as in the WHATWG MIME Sniffing standard, and three more. */
const IMAGE_SIGNATURES: readonly Signature[] = [
  { contentType: "image/png", extension: "png", matches: (b) => b[0] === 0x89 && ascii(b, 1, "PNG\r\n\x1a\n") },
  { contentType: "image/jpeg", extension: "jpg", matches: (b) => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff },
  { contentType: "image/gif", extension: "gif", matches: (b) => ascii(b, 0, "GIF87a") || ascii(b, 0, "GIF89a") },
  { contentType: "image/webp", extension: "webp", matches: (b) => ascii(b, 0, "RIFF") && ascii(b, 8, "WEBP") },
  { contentType: "image/bmp", extension: "bmp", matches: (b) => ascii(b, 0, "BM") && b.length > 26 },
  {
    contentType: "image/tiff",
    extension: "tiff",
    matches: (b) => ascii(b, 0, "II\x2a\x00") || ascii(b, 0, "MM\x00\x2a"),
  },
  { contentType: "image/avif", extension: "avif", matches: (b) => ascii(b, 4, "ftypavif") || ascii(b, 4, "ftypavis") },
  {
    contentType: "image/heic",
    extension: "heic",
    matches: (b) => ascii(b, 4, "ftyphei") || ascii(b, 4, "ftypmif1"),
  },
  { contentType: "image/x-icon", extension: "ico", matches: (b) => ascii(b, 0, "\x00\x00\x01\x00") },
  {
    contentType: "image/svg+xml",
    extension: "svg",
    matches: (b) =>
      /^\s*(?:<\?xml[^>]*>\s*)?(?:<!--[\s\S]*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i.test(
        new TextDecoder().decode(b.subarray(0, 1024)),
      ),
  },
];

/** The image kind of the bytes by their content, or null where they are no image that is known. */
export function sniffImage(bytes: Uint8Array): Signature | null {
  return IMAGE_SIGNATURES.find((signature) => signature.matches(bytes)) ?? null;
}
