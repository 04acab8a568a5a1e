import path from "node:path";
import type { Message } from "esbuild";
import { AthanorError } from "../protocol/errors.ts";
import { packageDirOf, readPackageJson } from "./packages.ts";

const MAX_SHOWN = 5;

/** esbuild's errors as one `build_failed` that names file, line and column of each. */
export function bundleFailure(error: unknown, root: string): Error {
  const messages = messagesOf(error);
  if (messages.length === 0) return error as Error;
  const lines = messages.slice(0, MAX_SHOWN).map((message) => `${placeOf(message, root)}${message.text}`);
  if (messages.length > MAX_SHOWN) lines.push(`and ${messages.length - MAX_SHOWN} more`);
  const missing = messages.some((message) => message.text.startsWith("Could not resolve"));
  return new AthanorError("build_failed", lines.join("\n"), {
    cause: error,
    ...(missing ? { hint: "Install what is missing, or correct the import." } : {}),
  });
}

/** Names of the installed packages in whose own files the errors are: a bundler cannot read them. */
export function packagesAtFault(error: unknown, root: string): string[] {
  return messagesOf(error).flatMap(({ location }) => {
    const dir = location === null ? null : packageDirOf(path.resolve(root, location.file));
    return dir === null ? [] : [readPackageJson(dir).name ?? path.basename(dir)];
  });
}

function messagesOf(error: unknown): Message[] {
  const { errors } = error as { errors?: Message[] };
  return Array.isArray(errors) ? errors : [];
}

function placeOf({ location }: Message, root: string): string {
  if (location === null) return "";
  const file = path.relative(root, path.resolve(root, location.file));
  return `${file}:${location.line}:${location.column + 1}: `;
}
