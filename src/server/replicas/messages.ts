import { FrameError, parsePayload } from "../../protocol/frames.ts";
import type { JobError } from "../../protocol/job.ts";
import type { Json } from "../../protocol/json.ts";
import type {
  ChunkMessage,
  HeadMessage,
  HelloMessage,
  LoggedLine,
  ProgressMessage,
  ReadyMessage,
  ServiceAddress,
} from "../../protocol/replica.ts";

/*
 * What a replica says is checked as strictly as any stranger's words: user code runs in its process and can write to its connection.
 */

const MAX_TEXT_CHARS = 64 * 1024;
const MAX_HEADERS = 1000;
/** The last moment that a Date can hold. */
const MAX_TIME_MS = 8.64e15;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** What may not stand in a header's value: it would end the header. */
const CONTROL = /[\0\r\n]/;

type Fields = Record<string, unknown>;

export function parseHello(payload: Buffer): HelloMessage {
  const { token, pid } = fields(payload);
  return { token: text(token), pid: integer(pid) };
}

export function parseReady(payload: Buffer): ReadyMessage {
  const ready = fields(payload);
  const timings = object(ready.timings);
  return {
    address: address(ready.address),
    takesSockets: ready.takesSockets === true,
    timings: { loadMs: number(timings.loadMs), enterMs: number(timings.enterMs) },
  };
}

function address(value: unknown): ServiceAddress | null {
  if (value === null) return null;
  const { path, host, port } = object(value);
  return path === undefined ? { host: text(host), port: integer(port) } : { path: text(path) };
}

export function parseStartFailed(payload: Buffer): JobError {
  return jobError(fields(payload).error);
}

export function parseLines(payload: Buffer): LoggedLine[] {
  const { lines } = fields(payload);
  if (!Array.isArray(lines)) throw new FrameError("LOG has no lines");
  return lines.map((entry: unknown) => {
    const { stream, fd, line, at, dropped } = object(entry);
    if (fd !== "stdout" && fd !== "stderr") throw new FrameError("A line is of neither stdout nor stderr");
    const parsed: LoggedLine = {
      stream: integer(stream),
      fd,
      line: text(line),
      at: Math.min(integer(at), MAX_TIME_MS),
    };
    return dropped === undefined ? parsed : { ...parsed, dropped: integer(dropped) };
  });
}

export function parseProgress(payload: Buffer): ProgressMessage {
  const { progress, message } = fields(payload);
  return { progress: Math.min(1, Math.max(0, number(progress))), message: message === null ? null : text(message) };
}

export function parseChunk(payload: Buffer): ChunkMessage {
  const { index, value } = fields(payload);
  return { index: integer(index), value: (value ?? null) as Json };
}

/** What follows a body; an END without a payload has none. */
export function parseTrailers(payload: Buffer): [string, string][] {
  return payload.length === 0 ? [] : headers(parsePayload<unknown>(payload));
}

/** Heads come again and again, byte for byte; a small one is read once. */
const knownHeads = new Map<string, HeadMessage>();
const MAX_KNOWN_HEADS = 256;
const MAX_KNOWN_HEAD_BYTES = 512;

/** What it returns is not to be changed: it may be returned again. */
export function parseHead(payload: Buffer): HeadMessage {
  if (payload.length > MAX_KNOWN_HEAD_BYTES) return readHead(payload);
  const bytes = payload.toString("latin1");
  const known = knownHeads.get(bytes);
  if (known !== undefined) return known;
  const head = readHead(payload);
  if (head.kind !== "http") return head;
  if (knownHeads.size >= MAX_KNOWN_HEADS) knownHeads.clear();
  knownHeads.set(bytes, head);
  return head;
}

function readHead(payload: Buffer): HeadMessage {
  const head = fields(payload);
  if (head.kind === "http") return { kind: "http", status: status(head.status), headers: headers(head.headers) };
  if (head.kind === "information")
    return { kind: "information", status: informational(head.status), headers: headers(head.headers) };
  if (head.kind === "result") return { kind: "result", value: (head.value ?? null) as Json, media: sizes(head.media) };
  if (head.kind !== "error") throw new FrameError("HEAD is of no kind that is known");
  const error: HeadMessage = { kind: "error", error: jobError(head.error), retryable: head.retryable !== false };
  return head.fatal === true ? { ...error, fatal: true } : error;
}

function sizes(value: unknown): { size: number }[] {
  if (!Array.isArray(value)) throw new FrameError("A result says nothing of its media");
  return value.map((entry: unknown) => ({ size: integer(object(entry).size) }));
}

function status(value: unknown): number {
  const code = integer(value);
  if (code !== 101 && (code < 200 || code > 599)) throw new FrameError(`${code} is no status of an answer`);
  return code;
}

function informational(value: unknown): number {
  const code = integer(value);
  if (code < 100 || code > 199 || code === 101)
    throw new FrameError(`${code} is no status of what comes before an answer`);
  return code;
}

function headers(value: unknown): [string, string][] {
  if (!Array.isArray(value) || value.length > MAX_HEADERS) throw new FrameError("HEAD has no list of headers");
  return value.map((pair: unknown) => {
    const [name, content] = Array.isArray(pair) ? (pair as unknown[]) : [];
    if (typeof name !== "string" || typeof content !== "string" || !HEADER_NAME.test(name) || CONTROL.test(content))
      throw new FrameError("HEAD has a header that is none");
    return [name.toLowerCase(), content];
  });
}

function jobError(value: unknown): JobError {
  const { code, message, stack } = object(value);
  return { code: text(code), message: text(message), ...(stack === undefined ? {} : { stack: text(stack) }) };
}

function fields(payload: Buffer): Fields {
  return object(parsePayload<unknown>(payload));
}

function object(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw new FrameError("A message has no object where it should");
  return value as Fields;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new FrameError("A message has no text where it should");
  return value.length <= MAX_TEXT_CHARS ? value : value.slice(0, MAX_TEXT_CHARS);
}

function number(value: unknown): number {
  if (typeof value !== "number") throw new FrameError("A message has no number where it should");
  return value;
}

function integer(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new FrameError("A message has no number where it should");
  return value as number;
}
