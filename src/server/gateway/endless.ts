type Pairs = readonly [string, string][];

/** Answers that go on until a side ends them, having declared no length, and so would keep the replica of a superseded deployment for ever. */
function isEndless(headers: Pairs): boolean {
  if (headers.some(([name]) => name === "content-length")) return false;
  return headers.some(([name, value]) => name === "content-type" && /^text\/event-stream\b/i.test(value));
}

/** Calls `end` when such an answer is to end: its readers come again by themselves, and find the newer deployment. Call what it returns when the answer is over. */
export function whenToEnd(headers: Pairs, signals: readonly AbortSignal[], end: () => void): () => void {
  if (!isEndless(headers)) return () => {};
  if (signals.some(({ aborted }) => aborted)) queueMicrotask(end);
  for (const signal of signals) signal.addEventListener("abort", end, { once: true });
  return () => {
    for (const signal of signals) signal.removeEventListener("abort", end);
  };
}
