import { isDeepStrictEqual } from "node:util";
import type { Json } from "../protocol/json.ts";
import type { SchemaObject } from "../schema/walk.ts";

export interface BoundGap {
  kind: "bound";
  keyword: string;
  /** Null: it had none. */
  from: Json | null;
  to: Json;
}

/** Whether the second bound lets through all that the first does. */
const LETS_THROUGH: { [keyword: string]: (from: Json, to: Json) => boolean } = {
  minimum: (from, to) => Number(to) <= Number(from),
  exclusiveMinimum: (from, to) => Number(to) <= Number(from),
  minLength: (from, to) => Number(to) <= Number(from),
  minItems: (from, to) => Number(to) <= Number(from),
  minProperties: (from, to) => Number(to) <= Number(from),
  maximum: (from, to) => Number(to) >= Number(from),
  exclusiveMaximum: (from, to) => Number(to) >= Number(from),
  maxLength: (from, to) => Number(to) >= Number(from),
  maxItems: (from, to) => Number(to) >= Number(from),
  maxProperties: (from, to) => Number(to) >= Number(from),
  multipleOf: (from, to) => Number(from) % Number(to) === 0,
  pattern: isDeepStrictEqual,
  format: isDeepStrictEqual,
  uniqueItems: (from, to) => to === false || from === true,
};

/** What bounds a value under `to` that did not, or not as much, under `from`. */
export function boundGaps(from: SchemaObject, to: SchemaObject): BoundGap[] {
  return Object.entries(LETS_THROUGH).flatMap(([keyword, letsThrough]): BoundGap[] => {
    const [before, after] = [from[keyword], to[keyword]];
    if (after === undefined || after === false) return [];
    if (before !== undefined && letsThrough(before, after)) return [];
    // A tuple has its length by its items.
    return [{ kind: "bound", keyword, from: before ?? null, to: after }];
  });
}
