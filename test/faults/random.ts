/** mulberry32: numbers from 0 up to 1, the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const between = (next: () => number, low: number, high: number): number =>
  low + Math.floor(next() * (high - low + 1));

export function pick<T>(next: () => number, from: readonly T[]): T {
  const chosen = from[Math.floor(next() * from.length)];
  if (chosen === undefined) throw new Error("there is nothing to pick from");
  return chosen;
}

/** One of the names, each as often as its weight says. */
export function weighted<T extends string>(next: () => number, weights: Partial<Record<T, number>>): T {
  const entries = Object.entries(weights) as [T, number][];
  let at = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight] of entries) {
    at -= weight;
    if (at < 0) return name;
  }
  return pick(next, entries)[0];
}

/** A copy in another order. */
export function shuffled<T>(next: () => number, from: readonly T[]): T[] {
  return from
    .map((value) => ({ value, at: next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}
