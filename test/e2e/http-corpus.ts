/**
 * Requests as bytes, and what becomes of each. `\n` in a text stands for CRLF; `<LF>`, `<CR>`, `<NUL>` and the like for the bytes that they name.
 *
 * `refused`: answered with this code, and nothing after it on the connection is answered. `read`: what the server took it for; where a body is
 * expected it is read in full. A request that is read must be read alike by all: what reaches an endpoint is held against it as well.
 */
export type Expectation =
  | { refused: string }
  | { read: { method: string; path: string; search?: string; host?: string; body?: string }; answers?: number };

export interface Case {
  name: string;
  bytes: string;
  expect: Expectation;
}

const refused = (name: string, bytes: string, code = "bad_request"): Case => ({
  name,
  bytes,
  expect: { refused: code },
});
const read = (
  name: string,
  bytes: string,
  expected: Extract<Expectation, { read: unknown }>["read"],
  answers = 1,
): Case => ({ name, bytes, expect: { read: expected, answers } });

const GET = (target: string, fields = ""): string => `GET ${target} HTTP/1.1\nHost: web.test\n${fields}\n`;
const POST = (fields: string, body: string): string => `POST /a HTTP/1.1\nHost: web.test\n${fields}\n${body}`;
/** What a smuggled request would look like; it must never be answered. */
const SMUGGLED = "GET /smuggled HTTP/1.1\nHost: web.test\n\n";
const posted = (body: string) => ({ method: "POST", path: "/a", body });
const got = (path: string, search = "") => ({ method: "GET", path, search });

export const CORPUS: readonly Case[] = [
  // Where a message ends
  refused("length and coding", POST("Content-Length: 3\nTransfer-Encoding: chunked\n", `0\n\n${SMUGGLED}`)),
  refused("coding and length", POST("Transfer-Encoding: chunked\nContent-Length: 6\n", `0\n\n${SMUGGLED}`)),
  refused("two lengths that differ", POST("Content-Length: 0\nContent-Length: 44\n", SMUGGLED)),
  refused("two lengths that agree", POST("Content-Length: 1\nContent-Length: 1\n", `a${SMUGGLED}`)),
  refused("a list of lengths", POST("Content-Length: 1, 1\n", `a${SMUGGLED}`)),
  refused("a length with a sign", POST("Content-Length: +1\n", `a${SMUGGLED}`)),
  refused("a negative length", POST("Content-Length: -1\n", SMUGGLED)),
  refused("a hexadecimal length", POST("Content-Length: 0x1\n", `a${SMUGGLED}`)),
  refused("a length with a fraction", POST("Content-Length: 1.0\n", `a${SMUGGLED}`)),
  refused("a length with an exponent", POST("Content-Length: 1e0\n", `a${SMUGGLED}`)),
  refused("a length in two words", POST("Content-Length: 1 1\n", `a${SMUGGLED}`)),
  refused("a length with an underscore", POST("Content-Length: 1_0\n", SMUGGLED)),
  refused("an empty length", POST("Content-Length: \n", SMUGGLED)),
  refused("a length past 64 bits", POST("Content-Length: 18446744073709551617\n", SMUGGLED)),
  refused("a length that numbers cannot hold", POST("Content-Length: 9007199254740993\n", SMUGGLED)),
  read("spaces around a length", POST("Content-Length:  \t 3  \n", "abc"), posted("abc")),
  read("a length with zeros", POST("Content-Length: 003\n", "abc"), posted("abc")),
  refused("coding identity", POST("Transfer-Encoding: identity\n", SMUGGLED)),
  refused("chunked, then identity", POST("Transfer-Encoding: chunked, identity\n", `0\n\n${SMUGGLED}`)),
  refused("identity, then chunked", POST("Transfer-Encoding: identity, chunked\n", `0\n\n${SMUGGLED}`)),
  refused("gzip, then chunked", POST("Transfer-Encoding: gzip, chunked\n", `0\n\n${SMUGGLED}`)),
  refused("chunked twice", POST("Transfer-Encoding: chunked, chunked\n", `0\n\n${SMUGGLED}`)),
  refused(
    "two fields of codings",
    POST("Transfer-Encoding: identity\nTransfer-Encoding: chunked\n", `0\n\n${SMUGGLED}`),
  ),
  refused(
    "two fields, the last unknown",
    POST("Transfer-Encoding: chunked\nTransfer-Encoding: x\n", `0\n\n${SMUGGLED}`),
  ),
  refused("an unknown coding", POST("Transfer-Encoding: xchunked\n", `0\n\n${SMUGGLED}`)),
  refused("a coding with a parameter", POST("Transfer-Encoding: chunked;q=1\n", `0\n\n${SMUGGLED}`)),
  refused("a quoted coding", POST('Transfer-Encoding: "chunked"\n', `0\n\n${SMUGGLED}`)),
  refused("a coding after a vertical tab", POST("Transfer-Encoding: <VT>chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a coding after a NUL", POST("Transfer-Encoding: <NUL>chunked\n", `0\n\n${SMUGGLED}`)),
  refused("an empty coding", POST("Transfer-Encoding: \n", `0\n\n${SMUGGLED}`)),
  refused("a coding with a comma before it", POST("Transfer-Encoding: , chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a space before the colon of a coding", POST("Transfer-Encoding : chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a tab before the colon", POST("Transfer-Encoding\t: chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a line feed in the name", POST("Transfer-Encoding<LF>: chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a folded coding", POST("Transfer-Encoding:\n chunked\n", `0\n\n${SMUGGLED}`)),
  refused("a coding in HTTP/1.0", "POST /a HTTP/1.0\nHost: web.test\nTransfer-Encoding: chunked\n\n0\n\n"),
  read("a coding in capitals", POST("Transfer-Encoding: CHUNKED\n", "3\nabc\n0\n\n"), posted("abc")),
  read("a coding with a tab", POST("Transfer-Encoding:\tchunked\n", "3\nabc\n0\n\n"), posted("abc")),
  read("a length of another name", POST("Content_Length: 44\n", ""), posted("")),
  read("a body of GET", `${GET("/a", "Content-Length: 3\n")}abc`, { ...got("/a"), body: "abc" }),
  read("a chunked body of GET", `${GET("/a", "Transfer-Encoding: chunked\n")}3\nabc\n0\n\n`, {
    ...got("/a"),
    body: "abc",
  }),
  read("a pipeline", GET("/a") + GET("/b"), got("/b"), 2),
  read("a pipeline behind a body", POST("Content-Length: 3\n", `abc${GET("/b")}`), got("/b"), 2),
  read("a request in a body", POST(`Content-Length: ${SMUGGLED.length + 3}\n`, SMUGGLED), posted(SMUGGLED)),

  // Chunks
  refused("a chunk size with 0x", POST("Transfer-Encoding: chunked\n", "0x3\nabc\n0\n\n")),
  refused("a negative chunk size", POST("Transfer-Encoding: chunked\n", "-3\nabc\n0\n\n")),
  refused("a chunk size with a sign", POST("Transfer-Encoding: chunked\n", "+3\nabc\n0\n\n")),
  refused("a space behind a chunk size", POST("Transfer-Encoding: chunked\n", "3 \nabc\n0\n\n")),
  refused("a space before a chunk size", POST("Transfer-Encoding: chunked\n", " 3\nabc\n0\n\n")),
  refused("an underscore in a chunk size", POST("Transfer-Encoding: chunked\n", "1_0\nabc\n0\n\n")),
  refused("an empty chunk size", POST("Transfer-Encoding: chunked\n", "\nabc\n0\n\n")),
  refused("a chunk size past 64 bits", POST("Transfer-Encoding: chunked\n", "10000000000000003\nabc\n0\n\n")),
  refused("a chunk longer than it says", POST("Transfer-Encoding: chunked\n", "3\nabcd\n0\n\n")),
  refused("a chunk size that ends with a line feed", POST("Transfer-Encoding: chunked\n", "3<LF>abc\n0\n\n")),
  refused("a chunk that ends with a line feed", POST("Transfer-Encoding: chunked\n", "3\nabc<LF>0\n\n")),
  refused("an extension that ends with a line feed", POST("Transfer-Encoding: chunked\n", "3;a<LF>abc\n0\n\n")),
  refused("an extension with a carriage return", POST("Transfer-Encoding: chunked\n", "3;a<CR>b\nabc\n0\n\n")),
  refused(
    "extensions without end",
    POST("Transfer-Encoding: chunked\n", `3;${"a".repeat(20_000)}\nabc\n0\n\n`),
    "header_too_large",
  ),
  refused("a length in the trailers", POST("Transfer-Encoding: chunked\n", `0\nContent-Length: 5\n\n${SMUGGLED}`)),
  refused(
    "trailers without end",
    POST("Transfer-Encoding: chunked\n", `0\n${"X: aaaaaaaaaaaaaaaa\n".repeat(2000)}\n`),
    "header_too_large",
  ),
  read("an extension", POST("Transfer-Encoding: chunked\n", "3;name=value\nabc\n0\n\n"), posted("abc")),
  read("zeros before a chunk size", POST("Transfer-Encoding: chunked\n", "0003\nabc\n0\n\n"), posted("abc")),
  read("trailers that name a host", POST("Transfer-Encoding: chunked\n", "3\nabc\n0\nHost: evil.test\n\n"), {
    ...posted("abc"),
    host: "web.test",
  }),

  // Lines and fields
  refused("line feeds alone", "GET /a HTTP/1.1<LF>Host: web.test<LF><LF>"),
  refused("a head that ends with a line feed", "GET /a HTTP/1.1\nHost: web.test\n<LF>"),
  refused("a field that ends with a line feed", "GET /a HTTP/1.1\nX: y<LF>Host: web.test\n\n"),
  refused("a carriage return in a value", GET("/a", "X: a<CR>b\n")),
  refused("a NUL in a value", GET("/a", "X: a<NUL>b\n")),
  refused("a control character in a value", GET("/a", "X: a<SOH>b\n")),
  refused("DEL in a value", GET("/a", "X: a<DEL>b\n")),
  refused("a folded value", GET("/a", "X: a\n b\n")),
  refused("a space before the first field", "GET /a HTTP/1.1\n X: a\nHost: web.test\n\n"),
  refused("a space before a colon", GET("/a", "X : a\n")),
  refused("an empty name", GET("/a", ": a\n")),
  refused("no colon", GET("/a", "abc\n")),
  refused("a bracket in a name", GET("/a", "X(: a\n")),
  refused("a byte past ASCII in a name", GET("/a", "X<E9>: a\n")),
  refused("too many fields", GET("/a", "X: a\n".repeat(100)), "header_too_large"),
  refused("too large a head", GET("/a", `X: ${"a".repeat(20_000)}\n`), "header_too_large"),
  refused(
    "two content types",
    POST("Content-Type: text/plain\nContent-Type: application/json\nContent-Length: 2\n", "{}"),
  ),
  refused("two credentials", GET("/a", "Authorization: Bearer a\nAuthorization: Bearer b\n")),
  refused("an unknown expectation", POST("Expect: 200-ok\nContent-Length: 1\n", "a"), "expectation_failed"),
  read("bytes past ASCII in a value", GET("/a", "X: a<E9>b\n"), got("/a")),
  read("empty lines before a request", `\n\n${GET("/a")}`, got("/a")),
  read("as many fields as there may be", GET("/a", "X: a\n".repeat(98)), got("/a")),

  // The request's line
  refused("HTTP/0.9", "GET /a\n\n"),
  refused("HTTP/2.0 in words", "GET /a HTTP/2.0\nHost: web.test\n\n"),
  refused("HTTP/1.2", "GET /a HTTP/1.2\nHost: web.test\n\n"),
  refused("http in small letters", "GET /a http/1.1\nHost: web.test\n\n"),
  refused("a space behind the version", "GET /a HTTP/1.1 \nHost: web.test\n\n"),
  refused("a tab as separator", "GET\t/a HTTP/1.1\nHost: web.test\n\n"),
  refused("a space before the method", " GET /a HTTP/1.1\nHost: web.test\n\n"),
  refused("a method in small letters", "get /a HTTP/1.1\nHost: web.test\n\n"),
  refused("an unknown method", "FOO /a HTTP/1.1\nHost: web.test\n\n"),
  refused("the preface of HTTP/2", "PRI * HTTP/2.0\n\nSM\n\n"),
  refused("CONNECT", "CONNECT web.test:443 HTTP/1.1\nHost: web.test:443\n\n", "method_not_allowed"),
  refused("TRACE", "TRACE /a HTTP/1.1\nHost: web.test\n\n", "method_not_allowed"),
  refused("too long a target", GET(`/${"a".repeat(9000)}`), "uri_too_long"),
  refused("a line without end", GET(`/${"a".repeat(20_000)}`), "uri_too_long"),
  read(
    "an upgrade to HTTP/2 without TLS",
    GET("/a", "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n"),
    got("/a"),
  ),
  read("an upgrade to what nobody knows", GET("/a", "Connection: Upgrade\nUpgrade: foo\n"), got("/a")),

  // The host
  refused("no host", "GET /a HTTP/1.1\n\n"),
  refused("two hosts", "GET /a HTTP/1.1\nHost: web.test\nHost: evil.test\n\n"),
  refused("two hosts that agree", "GET /a HTTP/1.1\nHost: web.test\nhost: web.test\n\n"),
  refused("a list of hosts", "GET /a HTTP/1.1\nHost: web.test, evil.test\n\n"),
  refused("a user in the host", "GET /a HTTP/1.1\nHost: evil@web.test\n\n"),
  refused("a path in the host", "GET /a HTTP/1.1\nHost: web.test/b\n\n"),
  refused("a space in the host", "GET /a HTTP/1.1\nHost: web test\n\n"),
  refused("a port that is none", "GET /a HTTP/1.1\nHost: web.test:99999\n\n"),
  refused("a port in words", "GET /a HTTP/1.1\nHost: web.test:http\n\n"),
  refused("an address that is none", "GET /a HTTP/1.1\nHost: 1.2.3.999\n\n"),
  refused("an IPv6 address that is none", "GET /a HTTP/1.1\nHost: [:::]\n\n"),
  read("a host in capitals", "GET /a HTTP/1.1\nHost: WEB.Test:80\n\n", { ...got("/a"), host: "web.test:80" }),
  read("a host that ends with a dot", "GET /a HTTP/1.1\nHost: web.test.:80\n\n", { ...got("/a"), host: "web.test:80" }),
  read("an underscore in the host", "GET /a HTTP/1.1\nHost: my_web.test\n\n", { ...got("/a"), host: "my_web.test" }),
  read("an IPv6 host", "GET /a HTTP/1.1\nHost: [::1]:7700\n\n", { ...got("/a"), host: "[::1]:7700" }),
  read("no host in HTTP/1.0", "GET /a HTTP/1.0\n\n", { ...got("/a"), host: "" }),

  // The target
  refused("a target without a slash", "GET a HTTP/1.1\nHost: web.test\n\n"),
  refused("an asterisk with GET", "GET * HTTP/1.1\nHost: web.test\n\n"),
  refused("another host in the target", "GET http://evil.test/a HTTP/1.1\nHost: web.test\n\n"),
  refused("a user in the target", "GET http://evil@web.test/a HTTP/1.1\nHost: web.test\n\n"),
  refused("a target of another scheme", "GET file:///etc/passwd HTTP/1.1\nHost: web.test\n\n"),
  refused("a target without a host", "GET http:///a HTTP/1.1\nHost: web.test\n\n"),
  refused("a target with two schemes", "GET http://http://web.test/a HTTP/1.1\nHost: web.test\n\n"),
  refused("two dots in a target with a host", "GET http://web.test/b/../a HTTP/1.1\nHost: web.test\n\n"),
  read("a target with its host", "GET http://WEB.test/a?b=c HTTP/1.1\nHost: web.test\n\n", {
    ...got("/a", "b=c"),
    host: "web.test",
  }),
  read("a target with its host, and no path", "GET http://web.test?b HTTP/1.1\nHost: web.test\n\n", {
    ...got("/", "b"),
    host: "web.test",
  }),
  refused("two slashes", GET("//evil.test/a")),
  refused("two dots", GET("/a/../b")),
  refused("two dots at the end", GET("/a/..")),
  refused("one dot", GET("/a/./b")),
  refused("encoded dots", GET("/demo/%2e%2e/other")),
  refused("half encoded dots", GET("/demo/.%2E/other")),
  refused("encoded dots and slash", GET("/demo/%2e%2e%2fother")),
  refused("an encoded slash before dots", GET("/demo%2f../other")),
  refused("an encoded backslash and dots", GET("/demo/..%5cother")),
  refused("dots with parameters", GET("/demo/..;a=b/other")),
  refused("a backslash", GET("/a\\b")),
  refused("a fragment", GET("/a#b")),
  refused("a fragment in the query", GET("/a?b#c")),
  refused("an encoded NUL", GET("/a%00b")),
  refused("a percent sign alone", GET("/a%")),
  refused("a percent sign and no digits", GET("/a%zz")),
  refused("an encoded byte that is not UTF-8", GET("/a%ff")),
  refused("an overlong encoding of a slash", GET("/a%c0%afb")),
  refused("a tab in the target", GET("/a\tb")),
  refused("a control character in the target", GET("/a<SOH>b")),
  refused("a byte past ASCII in the target", GET("/a<E9>b")),
  refused("a byte past ASCII in the query", GET("/a?b=<E9>")),
  read("an encoded letter", GET("/%61"), got("/a")),
  read("an encoded slash, which separates nothing", GET("/a%2Fb"), got("/a%2Fb")),
  read("dots encoded twice", GET("/a/%252e%252e/b"), got("/a/%2e%2e/b")),
  read("dots in a name", GET("/a/..b/c..d/.well-known"), got("/a/..b/c..d/.well-known")),
  read("an empty segment", GET("/a//b/"), got("/a//b/")),
  read("what browsers leave as it is", GET('/a|b^{c}?q={d}|^`"<>'), got("/a|b^{c}", 'q={d}|^`"<>')),
  read("dots in the query", GET("/a?next=../b//c"), got("/a", "next=../b//c")),
  read("OPTIONS of the server", "OPTIONS * HTTP/1.1\nHost: web.test\n\n", { method: "OPTIONS", path: "*" }),
];

const NAMED: { [name: string]: string } = {
  LF: "\n",
  CR: "\r",
  NUL: "\0",
  SOH: "\x01",
  VT: "\v",
  DEL: "\x7f",
  E9: "\xe9",
};

/** The bytes of a case. */
export function bytesOf({ bytes }: Case): Buffer {
  const text = bytes
    .replaceAll("\n", "\r\n")
    .replaceAll(/<(LF|CR|NUL|SOH|VT|DEL|E9)>/g, (_, name: string) => NAMED[name] ?? "");
  return Buffer.from(text, "latin1");
}
