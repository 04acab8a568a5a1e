import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { JsonSchema } from "../protocol/json.ts";
import type { StandardJsonSchema } from "./manifest-messages.ts";

interface StandardProps {
  vendor?: string;
  /** The Standard JSON Schema extension: Zod 4.2 and later, ArkType 2.1.28 and later. */
  jsonSchema?: Record<"input" | "output", (options: { target: string }) => unknown>;
}

/** Taken from the project, where it has it. */
const VALIBOT_COMPANION = "@valibot/to-json-schema";
const TARGET = "draft-2020-12";

/** A Standard Schema as JSON Schema, by its own means or those of its companion package; null inside where there are none. */
export async function jsonSchemaOf(
  given: unknown,
  side: "input" | "output",
  projectDir: string,
): Promise<StandardJsonSchema> {
  const props = (given as { "~standard"?: StandardProps })["~standard"];
  try {
    const made = props?.jsonSchema
      ? props.jsonSchema[side]({ target: TARGET })
      : props?.vendor === "valibot"
        ? await fromValibot(given, side, projectDir)
        : null;
    return { schema: plain(made) };
  } catch {
    // A type that JSON Schema has no word for, such as a transform. The user's own schema still checks every value.
    return { schema: null };
  }
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
