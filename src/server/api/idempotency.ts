import { AthanorError } from "../../protocol/errors.ts";
import type { Exchange } from "../http/exchange.ts";

/** Of the Idempotency-Key header; null where there is none. Throws bad_request. */
export function idempotencyKeyOf(x: Exchange): string | null {
  const key = x.header("idempotency-key");
  if (key === undefined) return null;
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new AthanorError("bad_request", "Idempotency-Key must be 1 to 255 visible ASCII characters");
  return key;
}
