import type ts from "typescript";
import { compareText } from "./faults.ts";
import type { SchemaObject } from "./tags.ts";

const REF = "#/$defs/";

/** The shared schemas: one for each named type, and for each unnamed one that contains itself. */
export class Definitions {
  readonly #names = new Map<ts.Type, string>();
  readonly #schemas = new Map<string, SchemaObject>();
  readonly #taken = new Set<string>();
  /** Unnamed types being expanded, innermost last. */
  readonly #open = new Set<ts.Type>();

  /** A reference to the type's definition, which is made on first use. */
  named(type: ts.Type, name: string, expand: () => SchemaObject): SchemaObject {
    const known = this.#names.get(type);
    if (known !== undefined) return { $ref: REF + known };
    const own = this.#claim(type, name);
    this.#schemas.set(own, expand());
    return { $ref: REF + own };
  }

  /** The schema itself, or a reference where the type is met again inside itself. */
  unnamed(type: ts.Type, name: string, expand: () => SchemaObject): SchemaObject {
    const known = this.#names.get(type) ?? (this.#open.has(type) ? this.#claim(type, name) : undefined);
    if (known !== undefined) return { $ref: REF + known };
    this.#open.add(type);
    const schema = expand();
    this.#open.delete(type);
    const own = this.#names.get(type);
    if (own === undefined) return schema;
    this.#schemas.set(own, schema);
    return { $ref: REF + own };
  }

  /** The schema behind a reference; undefined while it is being made. */
  resolve(ref: string): SchemaObject | undefined {
    return this.#schemas.get(ref.slice(REF.length));
  }

  /** Sorted by name. */
  all(): { [name: string]: SchemaObject } {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => compareText(a, b)));
  }

  #claim(type: ts.Type, name: string): string {
    const plain = name.replace(/[^\w.-]/g, "_"); // what OpenAPI lets a component be called
    let own = plain;
    for (let n = 2; this.#taken.has(own); n++) own = `${plain}_${n}`;
    this.#taken.add(own);
    this.#names.set(type, own);
    return own;
  }
}
