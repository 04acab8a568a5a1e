import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import sharp from "sharp";
import { ImageFile, MEDIA } from "./media.ts";

const png = new Uint8Array(
  await sharp({ create: { width: 3, height: 2, channels: 3, background: "red" } })
    .png()
    .toBuffer(),
);
const jpeg = new Uint8Array(await sharp(png).jpeg().toBuffer());
const base64 = Buffer.from(png).toString("base64");

async function folder() {
  const dir = await mkdtemp(path.join(tmpdir(), "athanor-media-"));
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true }) };
}

test("every source gives the same image", async () => {
  await using temp = await folder();
  const file = path.join(temp.dir, "a b.png");
  await writeFile(file, png);
  const sources = [
    png,
    png.buffer.slice(png.byteOffset, png.byteOffset + png.length),
    new Blob([png]),
    new Blob([png]).stream(),
    base64,
    `data:image/png;base64,${base64}`,
    file,
    pathToFileURL(file),
    pathToFileURL(file).href,
    new ImageFile(png),
  ];
  for (const source of sources) {
    const image = await ImageFile.from(source);
    assert.deepEqual(Buffer.from(await image.bytes()), Buffer.from(png));
    assert.equal(image.contentType, "image/png");
    assert.equal(image.size, png.length);
  }
  assert.equal((await ImageFile.from(file)).fileName, "a b.png");
  assert.equal((await ImageFile.from(new File([png], "f.png"))).fileName, "f.png");
});

test("a JPEG's base64, which begins with a slash, is not taken for a path", async () => {
  assert.equal((await ImageFile.from(Buffer.from(jpeg).toString("base64"))).contentType, "image/jpeg");
});

test("it gives its content in every form", async () => {
  const image = new ImageFile(png, { fileName: "../x/y.png" });
  assert.equal(image.fileName, "y.png");
  assert.equal(inspect({ image }), `{ image: ImageFile { y.png, image/png, ${png.length} bytes } }`);
  assert.equal(await image.base64(), base64);
  const blob = await image.blob();
  assert.equal(blob.type, "image/png");
  assert.equal(blob.size, png.length);
  assert.deepEqual(Buffer.concat(await Array.fromAsync(image.stream())), Buffer.from(png));
  assert.deepEqual(image[MEDIA](), { bytes: png, fileName: "y.png", contentType: "image/png" });
  assert.deepEqual(JSON.parse(JSON.stringify({ image })).image, {
    file_name: "y.png",
    content_type: "image/png",
    content: base64,
  });
  assert.deepEqual(await (await ImageFile.from(ImageFile.fromJson(image.toJSON()))).bytes(), png);
});

test("sharp opens it, and save writes it", async () => {
  await using temp = await folder();
  const image = new ImageFile(png);
  const { width, height } = await image.sharp().metadata();
  assert.deepEqual([width, height], [3, 2]);
  await image.save(path.join(temp.dir, "out.png"));
  assert.deepEqual(await readFile(path.join(temp.dir, "out.png")), Buffer.from(png));
});

test("the kind is what the content shows, whatever the name says", () => {
  const image = ImageFile.fromBytes(jpeg, { fileName: "a.png" });
  assert.equal(image.contentType, "image/jpeg");
  assert.equal(new ImageFile(jpeg).fileName, "image.jpg");
  assert.equal(ImageFile.fromDataUri("data:image/svg+xml,%3Csvg%20xmlns='x'%2F%3E").contentType, "image/svg+xml");
});

test("what is no image is refused, with what it is", async () => {
  assert.throws(() => new ImageFile(new TextEncoder().encode("hello")), {
    code: "media_invalid",
    detail: "5 bytes that begin with 68 65 6c 6c 6f are no image of a known kind",
  });
  assert.throws(() => new ImageFile(new Uint8Array()), { code: "media_invalid", detail: /^0 bytes/ });
  assert.throws(() => ImageFile.fromBase64("not base64!"), { code: "media_invalid" });
  assert.throws(() => ImageFile.fromDataUri("data:image/png"), { code: "media_invalid" });
  assert.throws(() => ImageFile.fromDataUri("data:image/svg+xml,%"), { code: "media_invalid" });
  assert.throws(() => ImageFile.fromJson({ file_name: "a", content_type: "image/png", url: "/x" }), {
    code: "media_invalid",
  });
  await assert.rejects(ImageFile.from("https://example.com/a.png"), {
    code: "media_invalid",
    detail: /not fetched from URLs/,
  });
  await assert.rejects(ImageFile.from(new URL("http://127.0.0.1/a.png")), { code: "media_invalid" });
});

test("an image of another copy of the class is one too", () => {
  const other = { [MEDIA]: () => ({ bytes: png, fileName: "a", contentType: "image/png" }) };
  assert.ok((other as unknown) instanceof ImageFile);
  assert.ok(!({} instanceof ImageFile));
});
