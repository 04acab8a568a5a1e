type Pairs = readonly [string, string][];

/** When answers that may never end by themselves are to. */
export interface WhenToEnd {
  /** A newer deployment has taken over, and `drainTimeoutS` is over. */
  superseded: AbortSignal;
  /** The server stops. */
  stopping: AbortSignal;
}

/** Streams of events that have declared no length. */
function mayBeEndless(headers: Pairs): boolean {
  if (headers.some(([name]) => name === "content-length")) return false;
  return headers.some(([name, value]) => name === "content-type" && /^text\/event-stream\b/i.test(value));
}

/**
 * Calls `end` when such an answer is to end. A GET's may have no end, and would keep the replica of a superseded deployment for ever: its readers
 * come again by themselves, and find the newer one. That of another method is the answer to what was asked with it, as a language model's, and
 * nobody could ask for the rest. When the server stops both end: else they would be cut a moment later. Call what it returns when the answer is over.
 */
export function whenToEnd(p: { method: string; headers: Pairs; when: WhenToEnd; end: () => void }): () => void {
  if (!mayBeEndless(p.headers)) return () => {};
  const { superseded, stopping } = p.when;
  const signals = p.method === "GET" ? [superseded, stopping] : [stopping];
  if (signals.some(({ aborted }) => aborted)) queueMicrotask(p.end);
  for (const signal of signals) signal.addEventListener("abort", p.end, { once: true });
  return () => {
    for (const signal of signals) signal.removeEventListener("abort", p.end);
  };
}
