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
  const { status, text } = await send(to, method, path, options);
  return { status, body: text === "" ? null : (JSON.parse(text) as Json) };
}

/** One whose answer is a line of JSON for each part, where it is no refusal; throws where one of them is explained, so that all are sent again. */
export async function requestLines(to: Endpoint, method: string, path: string, options: AskOptions): Promise<Answer> {
  const { status, text } = await send(to, method, path, options);
  if (status >= 300) return { status, body: JSON.parse(text) as Json };
  const lines = text.split("\n").filter((line) => line !== "");
  const body = lines.map((line) => JSON.parse(line) as { problem?: { code: string } });
  const explained = body.find(({ problem }) => EXPLAINED.has(problem?.code ?? ""));
  if (explained !== undefined) throw new Error(`refused for now: ${explained.problem?.code}`);
  return { status, body };
}

async function send(to: Endpoint, method: string, path: string, options: AskOptions) {
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
  return { status: response.status, text: await response.text() };
}

/** Refusals that a fault explains, after which a client asks again. */
const EXPLAINED = new Set(["shutting_down", "storage_full", "queue_full", "store_unreachable"]);

export function codeOf({ body }: Answer): string {
  return String((body as { code?: unknown } | null)?.code ?? "");
}

export const isExplained = (answer: Answer): boolean => answer.status >= 429 && EXPLAINED.has(codeOf(answer));
