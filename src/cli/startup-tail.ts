import { setTimeout as delay } from "node:timers/promises";
import { LOG_DEFAULTS } from "../protocol/defaults.ts";
import { PROBLEM_CONTENT_TYPE } from "../protocol/errors.ts";
import { unreachable } from "../sdk/client/request.ts";

export interface HealthParams {
  url: string;
  headers: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Default LOG_DEFAULTS.healthPollMs. */
  pollMs?: number | undefined;
  /** Why there is nothing to be asked, such as a replica that does not start; told once. */
  problem?: ((text: string) => void) | undefined;
}

/**
 * What a service says of its own start: the lines of `startup_log_tail` in the JSON of its health path, each once, until it is ready. That it is
 * where it answers 2xx or 3xx and does not say `"ready": false` or `"status": "starting"`.
 */
export async function* startupLines(p: HealthParams): AsyncGenerator<string> {
  let told = "";
  for (let before: string[] = []; ; ) {
    const { ready, tail, problem } = await ask(p);
    if (problem !== "" && problem !== told) p.problem?.(problem);
    told = problem;
    yield* newLines(before, tail);
    if (ready) return;
    if (tail.length > 0) before = tail;
    await delay(p.pollMs ?? LOG_DEFAULTS.healthPollMs, undefined, { signal: p.signal });
  }
}

async function ask({
  url,
  headers,
  signal,
}: HealthParams): Promise<{ ready: boolean; tail: string[]; problem: string }> {
  try {
    const answer = await fetch(url, { headers: { accept: "application/json", ...headers }, signal: signal ?? null });
    const health = healthOf(await answer.text());
    const ready = answer.status < 400 && health.ready !== false && health.status !== "starting";
    // Of the gateway, where it has no replica to ask.
    const isProblem = answer.headers.get("content-type")?.startsWith(PROBLEM_CONTENT_TYPE) === true;
    return {
      ready,
      tail: linesOf(health.startup_log_tail),
      problem: isProblem ? `${health.code}: ${health.detail}` : "",
    };
  } catch (error) {
    throw unreachable(new URL(url).origin, error, signal);
  }
}

function healthOf(text: string): { [name: string]: unknown } {
  try {
    const json = JSON.parse(text) as unknown;
    return typeof json === "object" && json !== null && !Array.isArray(json) ? { ...json } : {};
  } catch {
    // A health path may answer with anything.
    return {};
  }
}

function linesOf(tail: unknown): string[] {
  if (Array.isArray(tail)) return tail.map(String);
  return typeof tail === "string" ? tail.replace(/\r?\n$/, "").split(/\r?\n/) : [];
}

/** What a tail has that the tail before had not, where each is the newest part of one growing text. */
export function newLines(before: readonly string[], tail: readonly string[]): string[] {
  for (let kept = Math.min(before.length, tail.length); kept > 0; kept--) {
    const end = before.slice(-kept);
    if (end.every((line, index) => line === tail[index])) return tail.slice(kept);
  }
  return [...tail];
}
