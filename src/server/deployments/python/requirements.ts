import { PYTHON_DEFAULTS } from "../../../protocol/defaults.ts";
import type { FunctionKind } from "../../../protocol/spec.ts";

/**
 * The requirements with the server that runs the app: uvicorn for `asgi`, gunicorn for `wsgi`. What they name themselves is left to them. Beside a
 * uvicorn of their own, the packages that it uses come in the versions that suit it.
 */
export function withServer(kind: FunctionKind, requirements: string[]): string[] {
  const named = new Set(requirements.map(packageOf));
  const servers = kind === "asgi" ? PYTHON_DEFAULTS.asgiServer : PYTHON_DEFAULTS.wsgiServer;
  const [main = ""] = servers;
  const pinned = !named.has(packageOf(main));
  const added = servers.filter((line) => !named.has(packageOf(line)));
  return [...requirements, ...new Set(added.map((line) => (pinned ? line : packageOf(line))))];
}

/** `Flask[async] >= 3` -> `flask`; of an option the option itself. */
function packageOf(line: string): string {
  const [name = line] = /^[A-Za-z0-9._-]+/.exec(line) ?? [];
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}
