/** A service's answer is not HTTP/1.1 as RFC 9112 has it. */
export class InvalidAnswer extends Error {
  override readonly name = "InvalidAnswer";
}

/** Names in lower case and values, in the order in which they came. */
export type HeaderPairs = [string, string][];

export interface AnswerHead {
  status: number;
  headers: HeaderPairs;
  /** The body's length as it is declared; null: it is not. */
  contentLength: number | null;
  chunked: boolean;
  /** The connection may be used again after this answer. */
  keepAlive: boolean;
  /** Of the `Keep-Alive` header: an idle connection is closed after so many seconds. */
  keepAliveS: number | null;
}

const HTAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const MAX_HEADERS = 1000;

/** tchar of RFC 9110. */
const NAME = table((char) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char));
/** Visible characters, blanks, and bytes above ASCII; what else there is would end the value for some reader. */
const VALUE = table((char) => char === "\t" || (char >= " " && char !== "\x7f"));

function table(has: (char: string) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (has(String.fromCharCode(code)) ? 1 : 0));
}

/** `text` is the head as latin1, its last empty line included. Throws InvalidAnswer. */
export function parseHead(text: string): AnswerHead {
  // `HTTP/1.1 200` and, mostly, a blank and a reason.
  const line = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/.exec(text);
  if (line === null) throw new InvalidAnswer(`it begins with ${shown(text)}, which is no status line`);
  const head: AnswerHead = {
    status: Number(line[2]),
    headers: parseHeaders(text, line[0].length),
    contentLength: null,
    chunked: false,
    keepAlive: line[1] === "1",
    keepAliveS: null,
  };
  for (const [name, value] of head.headers) framing(head, name, value);
  if (head.chunked && head.contentLength !== null)
    throw new InvalidAnswer("it has both Content-Length and Transfer-Encoding");
  if (head.chunked && line[1] === "0") throw new InvalidAnswer("an answer of HTTP/1.0 has a Transfer-Encoding");
  return head;
}

function framing(head: AnswerHead, name: string, value: string): void {
  if (name === "content-length") {
    // Two that agree are refused too: whoever sends them may be a proxy's victim.
    if (head.contentLength !== null) throw new InvalidAnswer("it has two Content-Length headers");
    if (!/^\d{1,15}$/.test(value)) throw new InvalidAnswer(`its Content-Length is ${shown(value)}`);
    head.contentLength = Number(value);
  } else if (name === "transfer-encoding") {
    if (head.chunked || value.toLowerCase() !== "chunked")
      throw new InvalidAnswer(`its Transfer-Encoding is ${shown(value)}; only chunked is understood`);
    head.chunked = true;
  } else if (name === "connection") {
    const tokens = value.toLowerCase();
    if (/(?:^|[,\s])close(?:$|[,\s])/.test(tokens)) head.keepAlive = false;
  } else if (name === "keep-alive") {
    const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
    if (seconds !== undefined) head.keepAliveS = Number(seconds);
  }
}

/** Lines from `at` to the empty one that ends the text. Throws InvalidAnswer. */
export function parseHeaders(text: string, at: number): HeaderPairs {
  const headers: HeaderPairs = [];
  const end = text.length - 2;
  while (at < end) {
    if (headers.length === MAX_HEADERS) throw new InvalidAnswer(`it has over ${MAX_HEADERS} headers`);
    const nameAt = at;
    while (NAME[text.charCodeAt(at)] === 1) at++;
    if (at === nameAt || text.charCodeAt(at) !== COLON)
      // A line that begins with a blank goes on with the one before, for some readers and not for others.
      throw new InvalidAnswer(`it has the line ${shown(text.slice(nameAt))}, which is no header`);
    const name = text.slice(nameAt, at).toLowerCase();
    at++;
    while (isBlank(text.charCodeAt(at))) at++;
    const valueAt = at;
    while (VALUE[text.charCodeAt(at)] === 1) at++;
    if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF)
      throw new InvalidAnswer(`its header ${name} has a character that is not allowed there`);
    let valueEnd = at;
    while (valueEnd > valueAt && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
    headers.push([name, text.slice(valueAt, valueEnd)]);
    at += 2;
  }
  return headers;
}

const isBlank = (code: number): boolean => code === SPACE || code === HTAB;

/** The first line of a text, cut, so that it can stand in a message. */
export function shown(text: string): string {
  const line = /^[^\r\n]*/.exec(text)?.[0] ?? "";
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}
