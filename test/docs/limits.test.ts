/**
 * Every limit and default in the documents is the code's. A table whose last column is called `constant` names in it where the code keeps the
 * number: `SERVER_DEFAULTS.leaseMs` of src/protocol/defaults.ts; the column before says the number for people, `10 s`.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import * as defaults from "../../src/protocol/defaults.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const UNITS: { [unit: string]: number } = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, days: 86_400_000 };
const SIZES: { [unit: string]: number } = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

interface Row {
  place: string;
  shown: string;
  constant: string;
}

/** Rows of all tables that have the column. */
function rows(): Row[] {
  return globSync(["*.md", "docs/**/*.md"], { cwd: ROOT })
    .toSorted()
    .flatMap((document) => {
      let inTable = false;
      return readFileSync(path.join(ROOT, document), "utf8")
        .split("\n")
        .flatMap((line, index) => {
          const cells = line.split("|").map((cell) => cell.trim());
          if (!line.startsWith("|")) inTable = false;
          else if (cells.at(-2) === "constant") inTable = true;
          else if (inTable && !/^\|[-| ]+$/.test(line)) {
            const [shown = "", constant = ""] = cells.slice(-3, -1);
            return [{ place: `${document}:${index + 1}`, shown, constant: constant.replaceAll("`", "") }];
          }
          return [];
        });
    });
}

/** Every number, and list of numbers, that the code keeps in defaults.ts. */
function constants(): Map<string, number[]> {
  const all = new Map<string, number[]>();
  for (const [table, entries] of Object.entries(defaults)) {
    for (const [name, value] of Object.entries(entries as Record<string, unknown>)) {
      const numbers = [value].flat().filter((each) => typeof each === "number");
      if (numbers.length > 0) all.set(`${table}.${name}`, numbers);
    }
  }
  return all;
}

/** The quantities in a text, in the unit that the constant's name ends with. */
function read(text: string, constant: string): number[] {
  return [...text.matchAll(/(-?\d[\d,]*(?:\.\d+)?)(?: ?(%|ms|s|min|h|days|bytes|KiB|MiB|GiB)(?![\w]))?/g)].map(
    ([, digits = "", unit = ""]) => {
      const number = Number(digits.replaceAll(",", ""));
      if (unit === "%") return number / 100;
      if (unit in UNITS) return (number * (UNITS[unit] ?? 1)) / (/Ms$/.test(constant) ? 1 : 1000);
      if (unit in SIZES) return (number * (SIZES[unit] ?? 1)) / (/Mb$/.test(constant) ? 1024 ** 2 : 1);
      return number;
    },
  );
}

test("every limit and default in the documents is the code's", () => {
  const known = constants();
  const wrong = rows().flatMap(({ place, shown, constant }) => {
    const values = known.get(constant);
    if (values === undefined) return [`${place}: there is no number ${constant} in src/protocol/defaults.ts`];
    const said = read(shown, constant);
    // What a unit of the name means must be said: 10 of `leaseMs` is not "10".
    const unit = /(Ms|S|sS|Bytes|Mb)$/.exec(constant)?.[1];
    const hasUnit = unit === undefined || /(ms|s|min|h|days|bytes|KiB|MiB|GiB)\b/.test(shown);
    return hasUnit && JSON.stringify(said) === JSON.stringify(values)
      ? []
      : [`${place}: ${constant} is ${values.join(", ")}, and the document says ${JSON.stringify(shown)}`];
  });
  assert.deepEqual(wrong, []);
});

test("every number of src/protocol/defaults.ts stands in a document", () => {
  const told = new Set(rows().map(({ constant }) => constant));
  const untold = [...constants().keys()].filter((name) => !told.has(name));
  assert.deepEqual(
    untold,
    [],
    "add a row to the tables of docs/guarantees.md for each, or to those of the document that is about it",
  );
});
