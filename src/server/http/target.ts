import { HTTP_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";

/** What a request is for, by the one reading that routing, access checks and services share. */
export interface RequestTarget {
  /** As the client wrote it. */
  rawPath: string;
  /** Decoded but for `%2F` and `%5C`, which separate nothing; begins with `/`. */
  path: string;
  /** Without `?`; undecoded. */
  search: string;
  /** Of a target in absolute-form, `http://host/path`; null in origin-form. */
  authority: string | null;
}

/** Segments that need no decoding and no second look: the most. Each begins with its slash, so that the match takes linear time. */
const PLAIN_PATH = /^(?:\/[\w~!$&'()*+,:;=@-][\w.~!$&'()*+,:;=@-]*)*\/?$/;
/** Bytes that a URI must have percent-encoded, and a fragment, which is not for servers. */
const UNFIT = /[^\x21-\x7e]|#/;
/** A segment `.` or `..`, whatever of it is percent-encoded, or taken for a separator or the begin of parameters by some program. */
const DOT_SEGMENT = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\;]|%2f|%5c)/i;
const ABSOLUTE = /^https?:\/\/([^/?#]*)([\s\S]*)$/i;
const HOST = /^(?:[a-z0-9._~-]*|\[[0-9a-f:.]+\])(?::(\d{0,5}))?$/;

const bad = (detail: string): AthanorError => new AthanorError("bad_request", detail);

/**
 * Of a request target in origin-form (`/path?query`) or absolute-form, which a client of a proxy sends. What one program reads as one path and
 * the next as another is refused, never rewritten, so that what was routed and allowed is what is served. Throws bad_request, uri_too_long.
 */
export function readTarget(target: string): RequestTarget {
  if (target.length > HTTP_DEFAULTS.maxTargetBytes)
    throw new AthanorError(
      "uri_too_long",
      `the path and query have ${target.length} bytes, and may have ${HTTP_DEFAULTS.maxTargetBytes}`,
    );
  const absolute = target.startsWith("/") ? null : ABSOLUTE.exec(target);
  if (absolute === null && !target.startsWith("/")) throw bad("the request's target is neither a path nor an http URL");
  const authority = absolute?.[1] ?? null;
  const rest = absolute?.[2] ?? target;
  const end = rest.indexOf("?");
  const rawPath = (end < 0 ? rest : rest.slice(0, end)) || "/";
  const search = end < 0 ? "" : rest.slice(end + 1);
  if (search !== "" && UNFIT.test(search)) throw bad("the query holds characters that must be percent-encoded");
  return { rawPath, path: PLAIN_PATH.test(rawPath) ? rawPath : decodePath(rawPath), search, authority };
}

function decodePath(raw: string): string {
  if (UNFIT.test(raw) || raw.includes("\\")) throw bad("the path holds characters that must be percent-encoded");
  if (!raw.startsWith("/") || raw.startsWith("//"))
    throw bad("the path begins with two slashes, which some programs read as a host's name");
  if (DOT_SEGMENT.test(raw)) throw bad("the path has a segment that is `.` or `..`; send the path that is meant");
  if (/%00/.test(raw)) throw bad("the path holds an encoded NUL");
  try {
    return decodeURIComponent(raw.replace(/%(?=2f|5c)/gi, "%25"));
  } catch {
    throw bad("the path holds a % that no two hexadecimal digits of UTF-8 follow");
  }
}

/**
 * The host that a request names: lower case, without the dot that may end a name, with the port where one was given; empty where there is none.
 * `given` are the Host header, or HTTP/2's `:authority`, and the target's authority, which must agree. Throws bad_request.
 */
export function readHost(given: { host: string | undefined; authority: string | null }): string {
  if (given.authority === null) return normalHost(given.host ?? "");
  const host = normalHost(given.authority);
  if (host === "") throw bad("the request's target names no host");
  if (given.host !== undefined && given.host !== "" && normalHost(given.host) !== host)
    throw bad("the request's target and its Host header name two hosts");
  return host;
}

/** Texts of Host headers that were read before, of which there are few. */
const knownHosts = new Map<string, string>();
const MAX_KNOWN_HOSTS = 1000;

function normalHost(text: string): string {
  const known = knownHosts.get(text);
  if (known !== undefined) return known;
  const lower = text.toLowerCase();
  const port = HOST.exec(lower)?.[1] ?? "";
  // Links are made of it, so it must also be one in a URL: `1.2.3.999` is none.
  if (!HOST.test(lower) || Number(port) > 65_535 || (lower !== "" && !URL.canParse(`http://${lower}/`)))
    throw bad("the Host header is no host name with an optional port");
  const host = lower.replace(/\.(?=:|$)/, "");
  if (knownHosts.size >= MAX_KNOWN_HOSTS) knownHosts.clear();
  knownHosts.set(text, host);
  return host;
}
