// Many small jobs, few calls: texts are embedded in batches, and a search embeds as many as it is given.
//
//   athanor deploy app.ts
//   athanor run search --app-name batch --payload '{"args":["a hot oven",["the furnace glows","the sea is calm"]]}' --watch
import { App, NonRetryableError } from "athanor";

const app = new App("batch", { queue: { size: 10_000 } });

const DIMENSIONS = 256;

/**
 * A vector of each text. Up to 64 jobs share one call, which waits 20 ms for them: here that saves little, but a model or another service is asked
 * once for all of them. An empty text fails its own job and no other.
 */
export const embed = app.function({ batch: { maxSize: 64, waitMs: 20 }, retries: 2 }, async (texts: string[]) => {
  console.log(`${texts.length} texts`);
  return texts.map((text) => (text.trim() === "" ? new NonRetryableError("the text is empty") : vectorOf(text)));
});

/** The texts, the nearest to the query first. Each is a job of its own, which is cancelled with the search, and tried again by itself. */
export const search = app.function(async (query: string, texts: string[]) => {
  const [wanted = [], ...vectors] = await Array.fromAsync(embed.map([query, ...texts], { concurrency: 256 }));
  return texts
    .map((text, i) => ({ text, likeness: round(dot(wanted, vectors[i] ?? [])) }))
    .toSorted((a, b) => b.likeness - a.likeness);
});

/** Letter triples, counted by their hashes: texts with like words have like vectors. */
function vectorOf(text: string): number[] {
  const vector = new Array<number>(DIMENSIONS).fill(0);
  const letters = ` ${text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, " ")
    .trim()} `;
  for (let i = 0; i + 3 <= letters.length; i++) {
    const at = hash(letters.slice(i, i + 3)) % DIMENSIONS;
    vector[at] = (vector[at] ?? 0) + 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function hash(text: string): number {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 16777619);
  return value >>> 0;
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
