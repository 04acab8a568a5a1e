import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { AthanorError } from "../protocol/errors.ts";
import type { SpawnRequest } from "../protocol/wire.ts";

const SHAPE = '{"args":["hello"],"kwargs":{"steps":20}}';

/** `--payload`: JSON itself, `@FILE`, or `@-` for stdin. @throws AthanorError `usage`. */
export async function readPayload(given: string): Promise<SpawnRequest> {
  const source = await sourceText(given);
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    throw new AthanorError("usage", `--payload is not JSON: ${(error as Error).message}`, {
      hint: `Give an object: --payload '${SHAPE}'`,
    });
  }
  if (!isPayload(value)) {
    throw new AthanorError(
      "usage",
      "--payload must be an object with `args`, a list, or `kwargs`, an object, and nothing else",
      {
        hint: `Give an object: --payload '${SHAPE}'`,
      },
    );
  }
  return value;
}

async function sourceText(given: string): Promise<string> {
  if (!given.startsWith("@")) return given;
  const path = given.slice(1);
  if (path === "-") return text(process.stdin);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new AthanorError("usage", `--payload names a file that cannot be read: ${(error as Error).message}`);
  }
}

function isPayload(value: unknown): value is SpawnRequest {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const { args, kwargs, ...rest } = value as Record<string, unknown>;
  const argsFit = args === undefined || Array.isArray(args);
  const kwargsFit = kwargs === undefined || (typeof kwargs === "object" && kwargs !== null && !Array.isArray(kwargs));
  return argsFit && kwargsFit && Object.keys(rest).length === 0;
}
