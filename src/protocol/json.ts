/** Any value that JSON text can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export type JsonObject = { [key: string]: Json };

/** A JSON Schema (2020-12) document or subschema, as data. */
export type JsonSchema = boolean | { [keyword: string]: Json };
