import assert from "node:assert/strict";
import { test } from "node:test";
import { traceOf } from "./trace.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${ID}-00f067aa0ba902b7-01`;

test("a valid parent goes on as it is, and its state with it", () => {
  for (const traceparent of [PARENT, `00-${ID}-00f067aa0ba902b7-00`, `cc-${ID}-00f067aa0ba902b7-01-what-comes-later`])
    assert.deepEqual(traceOf({ traceparent, tracestate: "a=1,b=2" }), {
      traceId: ID,
      traceparent,
      tracestate: "a=1,b=2",
    });
  assert.equal(traceOf({ traceparent: PARENT, tracestate: undefined }).tracestate, null);
  assert.equal(traceOf({ traceparent: PARENT, tracestate: "a".repeat(513) }).tracestate, null);
});

test("where there is none, or none that is valid, a new trace begins", () => {
  const invalid = [
    undefined,
    "",
    "x",
    PARENT.toUpperCase(),
    `${PARENT}-more`,
    `ff${PARENT.slice(2)}`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${ID}-${"0".repeat(16)}-01`,
    `00-${ID}-00f067aa0ba902b7`,
    `${PARENT}, ${PARENT}`,
    `cc${PARENT.slice(2)}-${"a".repeat(100)}`,
  ];
  const seen = new Set<string>();
  for (const traceparent of invalid) {
    const trace = traceOf({ traceparent, tracestate: "a=1" });
    assert.match(trace.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.ok(trace.traceparent.includes(trace.traceId) && trace.traceId !== ID);
    assert.equal(trace.tracestate, null);
    seen.add(trace.traceId);
  }
  for (let i = 0; i < 1000; i++) seen.add(traceOf({ traceparent: undefined, tracestate: undefined }).traceId);
  assert.equal(seen.size, invalid.length + 1000);
});
