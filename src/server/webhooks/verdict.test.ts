import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ForbiddenHostError } from "../net/public-host.ts";
import { MAX_ATTEMPTS, verdictOfAnswer, verdictOfError } from "./verdict.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const answered = (status: number, p: { attempt?: number; retryAfter?: string; random?: number } = {}) =>
  verdictOfAnswer(
    { status, retryAfter: p.retryAfter ?? null },
    { attempt: p.attempt ?? 1, now: NOW, random: p.random ?? 0 },
  );
const failed = (reason: unknown, attempt = 1) =>
  verdictOfError(reason, { attempt, now: NOW, random: 0, timeoutMs: 15_000 });
const withCode = (code: string): Error => Object.assign(new Error(`connect ${code} 10.0.0.1:80`), { code });

describe("the verdict on an attempt", () => {
  it("is delivered for any 2xx", () => {
    for (const status of [200, 201, 202, 204, 299])
      assert.deepEqual(answered(status), { error: null, retryAt: null }, String(status));
  });

  it("is the end for 410, whatever attempts are left", () => {
    assert.deepEqual(answered(410), { error: "HTTP 410: the receiver wants no more of it", retryAt: null });
  });

  it("is another attempt for all else, redirects included", () => {
    for (const status of [300, 302, 307, 400, 401, 404, 408, 429, 500, 503, 600])
      assert.equal(answered(status).retryAt, NOW + 5000, String(status));
    assert.equal(answered(302).error, "HTTP 302: redirects are not followed");
    assert.equal(answered(503).error, "HTTP 503");
  });

  it("waits longer from attempt to attempt, and gives up after the last", () => {
    const delays = Array.from({ length: MAX_ATTEMPTS }, (_, index) => answered(500, { attempt: index + 1 }).retryAt);
    const seconds = delays.map((at) => (at === null ? null : (at - NOW) / 1000));
    assert.deepEqual(seconds, [5, 30, 120, 600, 3600, 10_800, 21_600, 43_200, null]);
    assert.equal(answered(500, { attempt: MAX_ATTEMPTS }).error, "HTTP 500");
    assert.equal(answered(500, { random: 1 }).retryAt, NOW + 5500);
  });

  it("waits as long as Retry-After asks, where that is longer, and no longer than a day", () => {
    const waits: [retryAfter: string, ms: number][] = [
      ["60", 60_000],
      ["1", 5000],
      ["0", 5000],
      ["Tue, 24 Nov 2026 12:10:00 GMT", 600_000],
      ["Tue, 24 Nov 2026 11:00:00 GMT", 5000],
      ["999999999", 86_400_000],
      ["Tue, 24 Nov 2099 12:10:00 GMT", 86_400_000],
      ["-5", 5000],
      ["soon", 5000],
      ["9".repeat(50), 5000],
    ];
    for (const [retryAfter, ms] of waits) assert.equal(answered(503, { retryAfter }).retryAt, NOW + ms, retryAfter);
    assert.equal(answered(503, { retryAfter: "60", attempt: MAX_ATTEMPTS }).retryAt, null);
  });

  it("says what an attempt without an answer failed with, and no address", () => {
    const timeout = new DOMException("The operation was aborted due to timeout", "TimeoutError");
    const reasons: [unknown, string][] = [
      [timeout, "no answer within 15 seconds"],
      [withCode("ECONNREFUSED"), "the connection was refused (ECONNREFUSED)"],
      [withCode("CERT_HAS_EXPIRED"), "the connection failed: CERT_HAS_EXPIRED"],
      [new AggregateError([withCode("EHOSTUNREACH")]), "the host is not reached (EHOSTUNREACH)"],
      [new Error("at 10.0.0.1"), "the attempt failed"],
      ["?", "the attempt failed"],
    ];
    for (const [reason, error] of reasons) assert.deepEqual(failed(reason), { error, retryAt: NOW + 5000 });
    assert.deepEqual(failed(timeout, MAX_ATTEMPTS), { error: "no answer within 15 seconds", retryAt: null });
  });

  it("is the end where the host is not a public one", () => {
    assert.deepEqual(failed(new ForbiddenHostError("x.example leads to a private address")), {
      error: "x.example leads to a private address; the server delivers to public ones alone",
      retryAt: null,
    });
  });
});
