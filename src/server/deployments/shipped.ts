import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import { requirementFault } from "../../protocol/python.ts";
import type { ShippedFile } from "../../protocol/spec.ts";
import { bool, type Check, invalid, object, oneOf, text } from "./shape.ts";

/** Names of a file and of the folders around it, none of which leads out of the deployment's own folder. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const FILE_PATH = /^(?!(?:.*\/)?\.{1,2}(?:\/|$))(?:[^/\\\x00-\x1f\x7f]{1,255}\/)*[^/\\\x00-\x1f\x7f]{1,255}$/;
const WHAT = "a relative path without `..`";

export const shippedFile = object<ShippedFile>({
  path: text({ max: 1000, pattern: FILE_PATH, what: WHAT }),
  executable: bool,
  encoding: oneOf("utf8", "base64"),
  content: text({ max: SERVER_DEFAULTS.maxDeploymentBytes }),
});

/** A folder below that of the files, or `.`, which is this itself. */
export const relativePath: Check = (value, path) => {
  if (value !== ".") text({ max: 1000, pattern: FILE_PATH, what: WHAT })(value, path);
};

export const requirement: Check = (value, path) => {
  text({ max: 2000 })(value, path);
  const fault = requirementFault(value as string);
  if (fault !== null) throw invalid(path, `a Python requirement (${fault})`, value);
};

/** What one file cannot show: their order, that no name is both a file and a folder, and how much there is. */
export function checkFiles(files: ShippedFile[]): void {
  const folders = new Set<string>();
  let bytes = 0;
  let last = "";
  for (const { path, content, encoding } of files) {
    if (path <= last)
      throw new AthanorError("deployment_invalid", `files must be sorted by path, each once: ${path} follows ${last}`);
    last = path;
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at));
    bytes += Buffer.byteLength(content, encoding);
  }
  for (const { path } of files)
    if (folders.has(path)) throw new AthanorError("deployment_invalid", `files: ${path} is both a file and a folder`);
  const max = SERVER_DEFAULTS.maxShippedBytes;
  if (bytes > max) throw new AthanorError("deployment_invalid", `files hold ${bytes} bytes; at most ${max} may ship`);
}
