/** What an option may be, in words and as a test. */

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isText = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";

export const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

export function number(min: number, max: number, unit: string) {
  const test = (value: unknown) => typeof value === "number" && value >= min && value <= max;
  return { allowed: `a number${unit} from ${min} to ${max}`, test };
}

/** More than `min`, which itself is not allowed. */
export function above(min: number, max: number, unit: string) {
  const test = (value: unknown) => typeof value === "number" && value > min && value <= max;
  return { allowed: `a number${unit} over ${min} and up to ${max}`, test };
}

export function integer(min: number, max: number, unit = "") {
  const test = (value: unknown) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  return { allowed: `a whole number${unit} from ${min} to ${max}`, test };
}

export const flag = { allowed: "true or false", test: (value: unknown) => typeof value === "boolean" };

export const text = { allowed: "text that is not empty", test: isText };

export const texts = { allowed: "a list of texts", test: isTexts };
