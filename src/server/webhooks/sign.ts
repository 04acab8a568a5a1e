import { createHmac } from "node:crypto";
import { SIGNATURE_PREFIX, signedPrefix, WEBHOOK_HEADERS, webhookKey } from "../../protocol/webhook.ts";

/** The headers that say what the webhook is and who sent it, for this attempt. */
export function signatureHeaders(p: { id: string; secret: string; body: string; now: number }): {
  [name: string]: string;
} {
  const timestamp = String(Math.floor(p.now / 1000));
  const hmac = createHmac("sha256", webhookKey(p.secret)).update(signedPrefix(p.id, timestamp)).update(p.body);
  return {
    [WEBHOOK_HEADERS.id]: p.id,
    [WEBHOOK_HEADERS.timestamp]: timestamp,
    [WEBHOOK_HEADERS.signature]: `${SIGNATURE_PREFIX}${hmac.digest("base64")}`,
  };
}
