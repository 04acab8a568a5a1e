import { AthanorError } from "../protocol/errors.ts";
import type { FunctionKind } from "../protocol/spec.ts";
import { type Registration, SITE_KEY, type Site } from "./registry.ts";

/** How each is written; what comes first, an endpoint's path or a web server's port, is no object. */
const FORMS: Partial<Record<FunctionKind, string>> = {
  function: "app.function(options?, handler)",
  endpoint: "app.endpoint(path?, options?, handler)",
  fetch: "app.fetch(options?, () => handler)",
  node: "app.node(options?, () => app)",
  webServer: "app.webServer(port, options?, start) or app.webServer(port, { command: [...] })",
  asgi: 'app.asgi("module:attribute", options?)',
  wsgi: 'app.wsgi("module:attribute", options?)',
};

/** What a call of a declaring method says. @throws AthanorError `option_invalid` where it does not take these arguments. */
export function registrationOf(kind: FunctionKind, given: unknown[]): Registration {
  const args = [...given];
  const site = takeSite(args);
  const path = kind === "endpoint" && typeof args[0] === "string" ? (args.shift() as string) : null;
  const port = kind === "webServer" ? args.shift() : null;
  const target = isPython(kind) && typeof args[0] === "string" ? { target: args.shift() as string } : {};
  const last = args.at(-1);
  const handler = typeof last === "function" && !isStandardSchemaOptions(last) ? last : null;
  if (handler) args.pop();
  const options = (args.shift() ?? {}) as object;
  const registration: Registration = {
    site,
    kind,
    path,
    port: port as number | null,
    options: typeof options === "object" ? { ...options, ...target } : options,
    handler,
    methodName: null,
  };
  const isPort = Number.isInteger(port) && (port as number) > 0 && (port as number) < 65536;
  const isComplete = kind === "webServer" ? isPort && isWhole(registration) !== (handler !== null) : true;
  const isRight = isPython(kind) ? isWhole(registration) && handler === null : isComplete;
  if (args.length > 0 || typeof options !== "object" || !isRight) {
    throw new AthanorError("option_invalid", `app.${kind} was called with arguments that it does not take`, {
      hint: FORMS[kind] ?? "",
    });
  }
  if (handler && site) nameHandler(handler, site.codeName);
  return registration;
}

/** Whether it needs no code of its own: a program does the work. */
export function isWhole({ kind, options }: Registration): boolean {
  if (isPython(kind)) return (options as { target?: unknown }).target !== undefined;
  return kind === "webServer" && (options as { command?: unknown }).command !== undefined;
}

function isPython(kind: FunctionKind): boolean {
  return kind === "asgi" || kind === "wsgi";
}

/** Takes the argument that the build inserted off the end. */
export function takeSite(args: unknown[]): Site | null {
  const last = args.at(-1);
  if (typeof last !== "object" || last === null || !Object.hasOwn(last, SITE_KEY)) return null;
  args.pop();
  return (last as { [SITE_KEY]: Site })[SITE_KEY];
}

/** Stacks name a function by this; an arrow function that is handed over has no name of its own. */
function nameHandler(handler: object, name: string): void {
  if ((handler as { name?: unknown }).name === "")
    Object.defineProperty(handler, "name", { value: name, configurable: true });
}

/** A callable schema is never the handler by mistake: it would be called with a body and answer with itself. */
function isStandardSchemaOptions(value: object): boolean {
  return "~standard" in value;
}
