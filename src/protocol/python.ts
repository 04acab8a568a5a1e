/** What is wrong with a line of Python requirements, which the build makes and the server checks; null: nothing. */
export function requirementFault(line: string): string | null {
  if (/[\r\n\0]/.test(line) || line.length > 2000) return "it must be one line of at most 2000 characters";
  // They would be stored with the deployment, in plain text.
  if (/:\/\/[^/\s@]*@/.test(line) && !/\bssh:\/\//.test(line)) return "it must hold no credentials";
  if (INDEX.test(line)) return null;
  if (line.startsWith("-"))
    return "of options only --index-url and --extra-index-url, with an http(s) URL, may stand here";
  if (!NAMED.test(line)) return "it must begin with the name of a package, as flask>=3 or flask @ https://… does";
  // A file of the machine that builds is not on the server.
  if (/\bfile:|@\s*[./~]/.test(line)) return "it must not name a file";
  return null;
}

const INDEX = /^--(?:extra-)?index-url https?:\/\/\S+$/;
const NAMED = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:$|[[;(<>=!~@,\s])/;

/** `module:attribute` or `module:factory()`. */
export const PYTHON_TARGET =
  /^[\p{L}_][\p{L}\p{N}_]*(?:\.[\p{L}_][\p{L}\p{N}_]*)*:[\p{L}_][\p{L}\p{N}_]*(?:\.[\p{L}_][\p{L}\p{N}_]*)*(?:\(\))?$/u;
/** `3.12`, or a range as pyproject.toml has it: `>=3.11,<3.14`. */
export const PYTHON_VERSION = /^(?:[<>=!~]{1,3}\s*)?\d[\d.*]*(?:\s*,\s*[<>=!~]{1,3}\s*\d[\d.*]*)*$/;
