/**
 * How a webhook is signed, as Standard Webhooks has it: base64 of the HMAC-SHA256 of `<id>.<timestamp>.<body>`, after `v1,`. What the server
 * signs with and a receiver verifies with is derived from the secret in one way, here.
 */
import { WEBHOOK_DEFAULTS } from "./defaults.ts";

export const WEBHOOK_HEADERS = {
  /** The same in each attempt, and of no other webhook: what a receiver knows a repetition by. */
  id: "webhook-id",
  /** Of the attempt, seconds since 1970. */
  timestamp: "webhook-timestamp",
  /** One or several, with spaces between. */
  signature: "webhook-signature",
} as const;

export const SIGNATURE_PREFIX = "v1,";
const BASE64_PREFIX = "whsec_";

/** The bytes that are the HMAC's key: those that the base64 after `whsec_` holds, or those of the text itself, as UTF-8. */
export function webhookKey(secret: string): Uint8Array<ArrayBuffer> {
  if (!secret.startsWith(BASE64_PREFIX)) return new TextEncoder().encode(secret);
  const binary = atob(secret.slice(BASE64_PREFIX.length));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** What goes before the body in the signed text. */
export function signedPrefix(id: string, timestamp: string): string {
  return `${id}.${timestamp}.`;
}

/** What is wrong with a secret, without the secret; null where it is right. */
export function secretFault(secret: string): string | null {
  const { minSecretChars, maxSecretChars, minSecretBytes, maxSecretBytes } = WEBHOOK_DEFAULTS;
  if (!secret.startsWith(BASE64_PREFIX)) {
    if (secret.length >= minSecretChars && secret.length <= maxSecretChars) return null;
    return `text of ${minSecretChars} to ${maxSecretChars} characters, and has ${secret.length}`;
  }
  const wanted = `base64 of ${minSecretBytes} to ${maxSecretBytes} bytes after whsec_`;
  try {
    const { length } = webhookKey(secret);
    return length >= minSecretBytes && length <= maxSecretBytes ? null : `${wanted}, and has ${length} bytes`;
  } catch {
    return `${wanted}, and what follows is no base64`;
  }
}
