import { AthanorError } from "../../protocol/errors.ts";

/** Request, environment, context; see FetchContext in the SDK. */
export type FetchHandler = (request: Request, env: object, context: object) => unknown;

/**
 * The handler in what a factory of `app.fetch` made: a function, an object with `.fetch`, or a module whose default export is one.
 * @throws AthanorError `startup_failed`, naming what it made.
 */
export function fetchHandlerOf(made: unknown, name: string): FetchHandler {
  const handler = handlerIn(made) ?? handlerIn((made as { default?: unknown } | null | undefined)?.default);
  if (handler !== null) return handler;
  throw new AthanorError(
    "startup_failed",
    `the factory of ${name} returned ${whatIs(made)}, but must return ${ALLOWED}`,
    {
      hint: hintFor(made),
    },
  );
}

const ALLOWED = "a function (request) => Response, or an object with such a function as `fetch`";

function handlerIn(made: unknown): FetchHandler | null {
  const object = made as { fetch?: unknown } | null | undefined;
  // Some frameworks' apps are functions of another kind that have a `fetch` as well.
  if (typeof object?.fetch === "function") return object.fetch.bind(object) as FetchHandler;
  return typeof made === "function" && !isNodeApp(made) ? (made as FetchHandler) : null;
}

function isNodeApp(made: object): boolean {
  return typeof (made as { listen?: unknown }).listen === "function";
}

function hintFor(made: unknown): string {
  if (Object.prototype.toString.call(made) === "[object Response]")
    return "app.fetch takes a function that makes the handler: write `app.fetch(() => handler)`.";
  const isNode = (typeof made === "object" || typeof made === "function") && made !== null && isNodeApp(made);
  return isNode
    ? "An app of Node's (request, response) is declared with app.node."
    : "Return the app at the end of the factory.";
}

/** `undefined`, `a string`, `an object of class Koa`. */
export function whatIs(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return value.name === "" ? "a function" : `the function ${value.name}`;
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  if (typeof name !== "string" || name === "Object") return `an object with ${keysOf(value)}`;
  return `an object of class ${name}`;
}

function keysOf(value: object): string {
  const keys = Object.keys(value);
  return keys.length === 0 ? "nothing in it" : `${keys.slice(0, 5).join(", ")}${keys.length > 5 ? " and more" : ""}`;
}
