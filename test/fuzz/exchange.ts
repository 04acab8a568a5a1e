import { connect, type Socket } from "node:net";
import type { Problem } from "../../src/protocol/wire.ts";

export interface Answer {
  status: number;
  headers: Map<string, string>;
  body: Buffer;
}

/** Beyond it the server hangs, as far as the fuzz is concerned. */
const TIMEOUT_MS = 20_000;

/**
 * Sends bytes on a connection of their own and reads all that the server answers until it closes. Throws where that is not a row of
 * well-formed HTTP/1.1 answers. A connection that is closed without an answer gives none. Bytes that may be the beginning of a
 * request only are followed by the end of the sending half: `endAfterMs`.
 */
export async function exchange(port: number, bytes: Uint8Array, endAfterMs: number | null): Promise<Answer[]> {
  return parseAnswers(await send(port, bytes, endAfterMs));
}

/** Throws where the bytes are not a row of well-formed HTTP/1.1 answers. */
export function parseAnswers(received: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let rest = received; rest.length > 0; ) {
    const { answer, end } = parseAnswer(rest);
    if (answer.status >= 200) answers.push(answer);
    rest = rest.subarray(end);
  }
  return answers;
}

function send(port: number, bytes: Uint8Array, endAfterMs: number | null): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket: Socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(
        new Error(
          `no end of the answer within ${TIMEOUT_MS} ms; so far: ${Buffer.concat(chunks).toString("latin1").slice(0, 200)}`,
        ),
      );
    }, TIMEOUT_MS);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    // The server may cut a connection that sends what it does not want; what it said before still counts.
    socket.on("error", () => {});
    let ending: NodeJS.Timeout | undefined;
    socket.once("close", () => {
      clearTimeout(timer);
      clearTimeout(ending);
      resolve(Buffer.concat(chunks));
    });
    socket.once("end", () => socket.end());
    socket.once("connect", () => {
      socket.write(bytes);
      if (endAfterMs !== null) ending = setTimeout(() => socket.end(), endAfterMs);
    });
  });
}

function parseAnswer(bytes: Buffer): { answer: Answer; end: number } {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0)
    throw new Error(`an answer without the end of its head: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`);
  const [line = "", ...rows] = bytes.subarray(0, headEnd).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) [\x20-\x7e]*$/.exec(line)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error(`no status line: ${JSON.stringify(line.slice(0, 200))}`);
  const headers = new Map<string, string>();
  for (const row of rows) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(row);
    if (!match) throw new Error(`no header: ${JSON.stringify(row.slice(0, 200))}`);
    headers.set((match[1] as string).toLowerCase(), match[2] as string);
  }
  const start = headEnd + 4;
  if (status < 200 || status === 204 || status === 304)
    return { answer: { status, headers, body: Buffer.alloc(0) }, end: start };
  const { body, end } =
    headers.get("transfer-encoding") === "chunked" ? parseChunks(bytes, start) : parseLength(bytes, start, headers);
  return { answer: { status, headers, body }, end };
}

function parseLength(bytes: Buffer, start: number, headers: Map<string, string>): { body: Buffer; end: number } {
  const length = headers.get("content-length");
  const end = length === undefined ? bytes.length : start + Number(length);
  // To HEAD the length is that of the body which GET would have.
  if (bytes.length === start) return { body: Buffer.alloc(0), end: start };
  if (!(end <= bytes.length)) throw new Error(`the body has ${bytes.length - start} bytes of ${length}`);
  return { body: bytes.subarray(start, end), end };
}

function parseChunks(bytes: Buffer, start: number): { body: Buffer; end: number } {
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (lineEnd < 0 || Number.isNaN(size)) throw new Error("a chunk without its size");
    at = lineEnd + 2 + size + 2;
    if (at > bytes.length) throw new Error("a chunk that is not whole");
    if (size === 0) return { body: Buffer.concat(parts), end: at };
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
  }
}

/** Throws unless an answer of 400 and above is a complete problem, and no fault of the server's own. */
export function checkAnswer({ status, headers, body }: Answer): void {
  if (status < 400) return;
  const type = headers.get("content-type");
  if (type !== "application/problem+json")
    throw new Error(`${status} is ${type}: ${body.toString("latin1").slice(0, 300)}`);
  // To HEAD.
  if (body.length === 0) return;
  const problem = JSON.parse(body.toString("utf8")) as Problem;
  if (problem.code === "internal" || problem.status !== status || !problem.detail || !problem.hint)
    throw new Error(`${status}: ${body.toString("utf8").slice(0, 500)}`);
}
