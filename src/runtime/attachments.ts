import { FrameError } from "../protocol/frames.ts";
import type { Call } from "./call.ts";

/** The bytes of the input's media, each in one piece. */
export async function readAttachments(call: Call, media: { size: number }[]): Promise<Uint8Array[]> {
  const attachments = media.map(({ size }) => Buffer.allocUnsafeSlow(size));
  let index = 0;
  let at = 0;
  if (media.some(({ size }) => size > 0)) {
    for await (const bytes of call.input) {
      for (let from = 0; from < bytes.length; ) {
        while (index < attachments.length && at === attachments[index]?.length) {
          index++;
          at = 0;
        }
        const target = attachments[index];
        if (!target) throw new FrameError("More bytes came than the media of the job have");
        const copied = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).copy(target, at, from);
        from += copied;
        at += copied;
      }
    }
  }
  return attachments;
}
