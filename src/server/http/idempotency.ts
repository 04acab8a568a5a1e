import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "./exchange.ts";

/** Of the Idempotency-Key header; null where there is none. Throws bad_request. */
export function idempotencyKeyOf(x: Exchange): string | null {
  const key = x.header("idempotency-key");
  return key === undefined ? null : checkIdempotencyKey(key, "Idempotency-Key");
}

/** Throws bad_request, naming where the key stood. */
export function checkIdempotencyKey(key: string, name: string): string {
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new AthanorError("bad_request", `${name} must be 1 to 255 visible ASCII characters`);
  return key;
}
