import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { JsonSchema } from "../protocol/json.ts";
import type { StandardJsonSchema } from "./manifest-messages.ts";

interface StandardProps {
  vendor?: string;
  /** The Standard JSON Schema extension: Zod 4.2 and later, ArkType 2.1.28 and later. */
  jsonSchema?: Record<"input" | "output", (options: { target: string; libraryOptions?: object }) => unknown>;
}

/** Taken from the project, where it has it. */
const VALIBOT_COMPANION = "@valibot/to-json-schema";
const TARGET = "draft-2020-12";

/** What Zod has no JSON Schema for, such as a date, is any JSON in it, and the rest keeps its schema. */
const ZOD_OPTIONS = { unrepresentable: "any" };

/** Zod gives what comes out of `z.coerce.number()` also as what goes in: refusing "2" would be to refuse what it takes. */
const ZOD_INPUT_OPTIONS = { ...ZOD_OPTIONS, override: leaveOpenWhatIsCoerced };

/** A Standard Schema as JSON Schema, by its own means or those of its companion package; null inside where there are none. */
export async function jsonSchemaOf(
  given: unknown,
  side: "input" | "output",
  projectDir: string,
): Promise<StandardJsonSchema> {
  const props = (given as { "~standard"?: StandardProps })["~standard"];
  try {
    const made = props?.jsonSchema
      ? props.jsonSchema[side]({ target: TARGET, ...libraryOptions(props.vendor, side) })
      : props?.vendor === "valibot"
        ? await fromValibot(given, side, projectDir)
        : null;
    return { schema: plain(made) };
  } catch {
    // A type that JSON Schema has no word for, such as a transform. The user's own schema still checks every value.
    return { schema: null };
  }
}

function libraryOptions(vendor: string | undefined, side: "input" | "output"): { libraryOptions?: object } {
  if (vendor !== "zod") return {};
  return { libraryOptions: side === "input" ? ZOD_INPUT_OPTIONS : ZOD_OPTIONS };
}

const ANNOTATIONS = new Set(["title", "description", "default", "examples"]);

interface ZodNode {
  zodSchema: { _zod?: { def?: { coerce?: boolean } } };
  jsonSchema: Record<string, unknown>;
}

function leaveOpenWhatIsCoerced({ zodSchema, jsonSchema }: ZodNode): void {
  if (!zodSchema._zod?.def?.coerce) return;
  for (const keyword of Object.keys(jsonSchema)) if (!ANNOTATIONS.has(keyword)) delete jsonSchema[keyword];
}

async function fromValibot(given: unknown, side: "input" | "output", projectDir: string): Promise<unknown> {
  const require = createRequire(path.join(projectDir, "package.json"));
  const url = pathToFileURL(require.resolve(VALIBOT_COMPANION)).href;
  const { toJsonSchema } = (await import(url)) as { toJsonSchema(schema: unknown, options: object): unknown };
  return toJsonSchema(given, { typeMode: side, target: TARGET });
}

function plain(made: unknown): JsonSchema | null {
  if (typeof made !== "object" || made === null) return null;
  return JSON.parse(JSON.stringify(made)) as JsonSchema;
}
