import type ts from "typescript";
import type { Definitions } from "./definitions.ts";
import type { Faults } from "./faults.ts";
import type { Origins } from "./origins.ts";
import type { SchemaObject } from "./tags.ts";

/** What converting a type needs: one for an analysis, passed to every function that converts. */
export interface Conversion {
  checker: ts.TypeChecker;
  origins: Origins;
  definitions: Definitions;
  faults: Faults;
  convert(type: ts.Type, place: Place): SchemaObject;
}

/** Where in a signature a type stands. */
export interface Place {
  /** The function's name in code. */
  fn: string;
  /** `parameter options.onDone`, `parameter users[].name`, `result`, `chunk.text` */
  path: string;
  /** The nearest node in the project's own files: where a fault is reported. */
  node: ts.Node;
  /** The type as written, where it is known: it has the names of aliases that the type itself has lost. */
  typeNode: ts.TypeNode | undefined;
  depth: number;
}

export function inside(place: Place, step: string, typeNode?: ts.TypeNode, node?: ts.Node): Place {
  return { ...place, path: place.path + step, typeNode, node: node ?? place.node, depth: place.depth + 1 };
}

/** Reports that the type cannot cross the wire; the schema that stands in its place is never used. */
export function refuse(c: Conversion, type: ts.Type, place: Place, what: string, instead: string): SchemaObject {
  const text = c.checker.typeToString(type);
  const message = `${place.fn}: ${place.path}: \`${text}\` ${what} and cannot cross the wire; ${instead}`;
  c.faults.add("type_not_serialisable", place.node, message);
  return {};
}
