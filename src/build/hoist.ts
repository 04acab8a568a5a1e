import type { JsonSchema } from "../protocol/json.ts";
import { type Defs, defRef, isObject, mapSubschemas, type SchemaObject } from "../schema/walk.ts";

const LOCAL_DEFS = ["$defs", "definitions"];

/**
 * Moves the definitions of a schema that is a document of its own into those of the app, under names that begin with `prefix`, and
 * turns its references round. A reference to its root makes the root a definition.
 */
export function hoistDefinitions(schema: JsonSchema, prefix: string, $defs: Defs): JsonSchema {
  if (!isObject(schema)) return schema;
  let refersToRoot = false;
  const rename = (name: string): string => `${prefix}.${name}`.replace(/[^A-Za-z0-9._-]/g, "_");
  const visit = (sub: JsonSchema): JsonSchema => {
    if (!isObject(sub)) return sub;
    const changed = mapSubschemas(sub, visit);
    const { $ref } = changed;
    if ($ref === "#") {
      refersToRoot = true;
      changed.$ref = defRef(prefix);
    } else if (typeof $ref === "string") {
      const name = /^#\/(?:\$defs|definitions)\/([^/]+)$/.exec($ref)?.[1];
      if (name !== undefined) changed.$ref = defRef(rename(decodeURIComponent(name)));
    }
    return changed;
  };
  const root = visit(schema) as SchemaObject;
  for (const keyword of LOCAL_DEFS) {
    const local = root[keyword];
    if (!isObject(local)) continue;
    for (const [name, sub] of Object.entries(local)) $defs[rename(name)] = sub as JsonSchema;
    delete root[keyword];
  }
  delete root.$schema;
  if (!refersToRoot) return root;
  $defs[prefix] = root;
  return { $ref: defRef(prefix) };
}
