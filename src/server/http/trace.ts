import { randomBytes } from "node:crypto";

/** W3C Trace Context (https://www.w3.org/TR/trace-context/). */
export interface Trace {
  traceId: string;
  /** As it goes on. */
  traceparent: string;
  tracestate: string | null;
}

const MAX_STATE_CHARS = 512;
/** Version 00 has 55; later ones may have more. */
const MAX_PARENT_CHARS = 128;
const PARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
const CREATED_FLAGS = "01";

/**
 * The trace that a request belongs to: the client's, passed on as it is, since the gateway records no span that could be a parent in its place;
 * else a new one, marked as sampled, which leaves it to the function's own sampler. State is of the client's trace alone.
 */
export function traceOf(given: { traceparent: string | undefined; tracestate: string | undefined }): Trace {
  const match = matchOf(given.traceparent);
  if (match === null) {
    const traceId = randomHex(16);
    return { traceId, traceparent: `00-${traceId}-${randomHex(8)}-${CREATED_FLAGS}`, tracestate: null };
  }
  const { tracestate = "" } = given;
  return {
    traceId: match[2] as string,
    traceparent: given.traceparent as string,
    tracestate: tracestate === "" || tracestate.length > MAX_STATE_CHARS ? null : tracestate,
  };
}

/** A traceparent that is one; null: it is none, or not given. */
export function validTraceparent(given: string | undefined): string | null {
  return matchOf(given) === null ? null : (given as string);
}

function matchOf(given: string | undefined): RegExpExecArray | null {
  const match = given === undefined || given.length > MAX_PARENT_CHARS ? null : PARENT.exec(given);
  // Of version 00 all is known: nothing may follow.
  return match !== null && match[1] === "00" && match[3] !== undefined ? null : match;
}

/** Drawn for many requests at a time, which is a small part of the price. */
const POOL_BYTES = 4096;
let pool = "";
let used = 0;

function randomHex(bytes: number): string {
  if (used + 2 * bytes > pool.length) {
    pool = randomBytes(POOL_BYTES).toString("hex");
    used = 0;
  }
  used += 2 * bytes;
  return pool.slice(used - 2 * bytes, used);
}
