// An image in, a smaller image out, while the caller waits.
//
//   npm ci && athanor deploy app.ts
//   curl http://127.0.0.1:7700/thumbnails/thumbnail -F photo=@photo.jpg -F width=200 -H 'accept: image/webp' -o small.webp
import { App, ImageFile } from "athanor";

const app = new App("thumbnails");

/**
 * Makes an image smaller, keeping its shape, as WebP. An image that is smaller already keeps its size.
 *
 * @param photo An uploaded part, base64 or a data URI.
 * @param width The most pixels across. @minimum 1 @maximum 2000
 */
export const thumbnail = app.endpoint(
  "/thumbnail",
  { maxUploadFileSizeMb: 20, timeoutS: 30, summary: "Make a thumbnail" },
  async (photo: ImageFile, width = 320): Promise<ImageFile> => {
    const small = await photo
      .sharp()
      .rotate() // As the camera was held; the metadata that says so is dropped.
      .resize({ width: Math.round(width), withoutEnlargement: true })
      .webp()
      .toBuffer();
    return ImageFile.fromBytes(small, { fileName: "thumbnail.webp" });
  },
);
