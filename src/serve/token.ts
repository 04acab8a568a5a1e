import { createHash, timingSafeEqual } from "node:crypto";
import { AthanorError } from "../protocol/errors.ts";
import type { Exchange } from "../server/http/exchange.ts";

/** Throws unauthorized where the request does not bear the token. */
export type TokenCheck = (x: Exchange) => void;

export function tokenCheck(token: string | null): TokenCheck {
  const known = token === null ? null : digest(token);
  return (x) => {
    if (known === null)
      throw new AthanorError("unauthorized", "this endpoint is for holders of a token, and none is set", {
        hint: "Give one: app.serve({ token }), or ATHANOR_TOKEN.",
      });
    const given = /^Bearer +(\S+)$/i.exec(x.header("authorization") ?? "")?.[1];
    if (given === undefined || !timingSafeEqual(digest(given), known))
      throw new AthanorError("unauthorized", "this endpoint is for holders of the token");
  };
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
