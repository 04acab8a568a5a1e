import { AthanorError } from "../../protocol/errors.ts";
import type { Json } from "../../protocol/json.ts";
import type { Exchange } from "./exchange.ts";

/** Requests whose client waits for `100 Continue` before it sends the body. */
const expecting = new WeakSet<object>();

export function expectsContinue(x: { req: object }): void {
  expecting.add(x.req);
}

/** It still waits: nothing is to come from the client until it is told to go on. */
export const awaitsContinue = (req: object): boolean => expecting.has(req);

/** Call before a body is read: refuses what is declared too large before any of it is sent. Throws body_too_large. */
export function acceptBody(x: Exchange, maxBytes: number): void {
  if ((x.contentLength ?? 0) > maxBytes) throw tooLarge(maxBytes, `${x.contentLength}`);
  if (expecting.delete(x.req)) x.res.writeContinue();
}

/** The body as it comes. Reading may stop early: the connection stays, so that an answer can still be sent on it. */
export function bodyStream(x: Exchange): AsyncIterable<Uint8Array> {
  return x.hasBody ? x.req.iterator({ destroyOnReturn: false }) : NOTHING;
}

/** Node does not say of a request without a body that it has ended. */
const NOTHING: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };

/** Requests whose head has come in this turn of the event loop; a body that came with its head has been parsed at the turn's end. */
let turn: Promise<void> | null = null;

/** The whole body, where it came in one piece with the request's head, as small ones do; else null, and it is to be read as it comes. */
export async function arrivedBody(x: Exchange): Promise<Uint8Array | null> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = null;
      resolve();
    });
  });
  await turn;
  return x.req.complete ? (x.req.read() as Buffer | null) : null;
}

/** The whole body, at most `maxBytes`. Throws body_too_large, bad_request where the client stops halfway. */
export async function readBytes(x: Exchange, maxBytes: number): Promise<Buffer> {
  acceptBody(x, maxBytes);
  if (!x.hasBody) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const { req } = x;
    const stop = (error: Error): void => {
      req.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose).pause();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > maxBytes) stop(tooLarge(maxBytes, "more"));
      else chunks.push(chunk);
    };
    const onEnd = (): void => resolve(Buffer.concat(chunks, size));
    const onError = (): void => stop(new AthanorError("bad_request", "the body ended before it was complete"));
    const onClose = (): void => {
      if (!req.complete) onError();
    };
    req.on("data", onData).once("end", onEnd).once("error", onError).once("close", onClose);
  });
}

/** A JSON body; `{}` where there is none. Throws unsupported_media_type, body_too_large, malformed_json. */
export async function readJson(x: Exchange, maxBytes: number): Promise<Json> {
  const type = x.header("content-type");
  if (type !== undefined && !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new AthanorError("unsupported_media_type", `the body is ${JSON.stringify(type.slice(0, 100))}`, {
      hint: "Send application/json.",
    });
  }
  const bytes = await readBytes(x, maxBytes);
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Json;
  } catch (error) {
    throw new AthanorError("malformed_json", `the body is not JSON: ${(error as Error).message.slice(0, 300)}`);
  }
}

const tooLarge = (maxBytes: number, actual: string): AthanorError =>
  new AthanorError("body_too_large", `the body may have ${maxBytes} bytes, and has ${actual}`, {
    headers: { connection: "close" },
  });
