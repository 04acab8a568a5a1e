import { WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { SIGNATURE_PREFIX, signedPrefix, WEBHOOK_HEADERS, webhookKey } from "../../protocol/webhook.ts";
import type { WebhookBody } from "../../protocol/wire.ts";

export interface ReceivedWebhook {
  /** The body as it was received: its bytes, or the text that they are. Parsed and written again, it is another. */
  body: string | Uint8Array;
  /** Of the request; a `Headers`, or the object that Node has. */
  headers: Headers | { readonly [name: string]: string | readonly string[] | undefined };
  /** What the job was spawned with. Several: any of them may have signed, while one takes the place of another. */
  secret: string | readonly string[];
  /** Seconds by which its time may differ from this machine's. Default 300: an older one is a repetition of somebody else's. */
  toleranceS?: number | undefined;
  /** The time now, in milliseconds since 1970. Default: this machine's. */
  now?: number | undefined;
}

/**
 * A webhook's body, once it is known to be of a job that was spawned with this secret.
 * @throws AthanorError `webhook_invalid`. Answer 401 then, and do nothing else.
 */
export async function verifyWebhook(received: ReceivedWebhook): Promise<WebhookBody> {
  const { secret, toleranceS = WEBHOOK_DEFAULTS.verifyToleranceS, now = Date.now() } = received;
  const id = headerOf(received, WEBHOOK_HEADERS.id);
  const timestamp = headerOf(received, WEBHOOK_HEADERS.timestamp);
  const signatures = headerOf(received, WEBHOOK_HEADERS.signature)
    .split(" ")
    .flatMap((signature) => bytesOf(signature));
  const offS = Math.abs(now / 1000 - (/^\d{1,12}$/.test(timestamp) ? Number(timestamp) : Number.NaN));
  if (!(offS <= toleranceS))
    throw invalid(
      `its time, ${JSON.stringify(timestamp.slice(0, 20))}, is not within ${toleranceS} seconds of this machine's`,
    );
  const body = typeof received.body === "string" ? new TextEncoder().encode(received.body) : received.body;
  const signed = concat(new TextEncoder().encode(signedPrefix(id, timestamp)), body);
  for (const one of typeof secret === "string" ? [secret] : secret) {
    if (await isSigned(webhookKey(one), signatures, signed))
      return JSON.parse(new TextDecoder().decode(body)) as WebhookBody;
  }
  throw invalid("no signature in it was made with this secret, of this body");
}

async function isSigned(
  secret: Uint8Array<ArrayBuffer>,
  signatures: Uint8Array<ArrayBuffer>[],
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["verify"]);
  // It compares in constant time.
  for (const signature of signatures) if (await crypto.subtle.verify("HMAC", key, signature, signed)) return true;
  return false;
}

function headerOf({ headers }: ReceivedWebhook, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  if (typeof value === "string" && value !== "") return value;
  throw invalid(`it has no header ${name}`);
}

/** Signatures of other kinds are passed over. */
function bytesOf(signature: string): Uint8Array<ArrayBuffer>[] {
  if (!signature.startsWith(SIGNATURE_PREFIX)) return [];
  try {
    return [Uint8Array.from(atob(signature.slice(SIGNATURE_PREFIX.length)), (char) => char.charCodeAt(0))];
  } catch {
    return [];
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function invalid(why: string): AthanorError {
  return new AthanorError("webhook_invalid", `the webhook is refused: ${why}`);
}
