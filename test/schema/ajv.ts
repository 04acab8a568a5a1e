import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { JsonSchema } from "../../src/protocol/json.ts";

/** Compiles schemas under Ajv's strict mode: only the keywords that Athanor adds to JSON Schema are let through. */
export function schemaCompiler($defs: {
  [name: string]: JsonSchema;
}): (schema: JsonSchema) => (value: unknown) => boolean {
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allErrors: true,
  });
  addFormats.default(ajv);
  for (const keyword of ["x-athanor-type", "discriminator"]) ajv.addKeyword(keyword);
  ajv.addSchema({ $id: "all", $defs });
  return (schema) => {
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"all#/');
    return ajv.compile(JSON.parse(text) as JsonSchema) as (value: unknown) => boolean;
  };
}
