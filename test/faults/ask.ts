import type { Json } from "../../src/protocol/json.ts";
import type { Endpoint } from "./system.ts";

export interface Answer {
  status: number;
  body: unknown;
}

export interface AskOptions {
  body?: unknown;
  headers?: Record<string, string>;
  timeoutMs?: number;
}

const TIMEOUT_MS = 4000;

/** One request; throws where no whole answer came. */
export async function request(to: Endpoint, method: string, path: string, options: AskOptions = {}): Promise<Answer> {
  const { body, headers, timeoutMs = TIMEOUT_MS } = options;
  const response = await fetch(new URL(path, to.url), {
    method,
    headers: {
      authorization: `Bearer ${to.token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : (JSON.parse(text) as Json) };
}

/** Refusals that a fault explains, after which a client asks again. */
const EXPLAINED = new Set(["shutting_down", "storage_full", "queue_full", "store_unavailable"]);

export function codeOf({ body }: Answer): string {
  return String((body as { code?: unknown } | null)?.code ?? "");
}

export const isExplained = (answer: Answer): boolean => answer.status >= 429 && EXPLAINED.has(codeOf(answer));
