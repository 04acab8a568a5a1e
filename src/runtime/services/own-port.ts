import { Server } from "node:net";
import { HOST } from "./ports.ts";

/**
 * Lets code of this process that listens on the port it always had listen on the replica's own, so that several replicas may run that code side by
 * side; and on either, where it names no address, for this machine alone.
 */
export function mapListen(declared: number, port: number): void {
  const { listen } = Server.prototype;
  Server.prototype.listen = function (this: Server, ...args: unknown[]) {
    return (listen as (...args: unknown[]) => Server).apply(this, mapped(args, declared, port));
  } as typeof listen;
}

const ANY = new Set<unknown>([undefined, "0.0.0.0", "::", "localhost"]);

function mapped(args: unknown[], declared: number, port: number): unknown[] {
  const [first, ...rest] = args;
  const isMeant = (value: unknown) => isPort(value, declared) || isPort(value, port);
  if (typeof first === "object" && first !== null && isMeant((first as { port?: unknown }).port)) {
    const { host } = first as { host?: unknown };
    return [{ ...first, port, ...(ANY.has(host) ? { host: HOST } : {}) }, ...rest];
  }
  if (!isMeant(first)) return args;
  const host = typeof rest[0] === "string" ? rest.shift() : undefined;
  if (rest[0] === undefined) rest.shift();
  return [port, ANY.has(host) ? HOST : host, ...rest];
}

function isPort(value: unknown, declared: number): boolean {
  return value === declared || value === String(declared);
}

/**
 * The arguments of a program with the replica's port in place of the declared one where that is meant: alone (`http.server 8000`), after an option
 * for it (`--port 8000`, `--listen=8000`), or after a host (`0.0.0.0:8000`). `$PORT` and `$HOST`, which no shell is there to read, are replaced too.
 */
export function mapArguments(command: readonly string[], declared: number, port: number): string[] {
  const [program = "", ...args] = command;
  return [program, ...args.map((arg, at) => mapArgument(arg, args[at - 1] ?? "", declared, port))];
}

const PORT_OPTION = /^--?[\w-]*(?:port|listen|bind|addr)[\w-]*$|^-[plb]$/i;

function mapArgument(arg: string, before: string, declared: number, port: number): string {
  const text = arg.replace(/\$(?:PORT\b|\{PORT\})/g, String(port)).replace(/\$(?:HOST\b|\{HOST\})/g, HOST);
  if (text === String(declared)) return before.startsWith("-") && !PORT_OPTION.test(before) ? text : String(port);
  const [, head = "", name = "", host = ""] = /^((?:(-[\w-]+)=)?([\w.*[\]:-]*:)?)\d+$/.exec(text) ?? [];
  const isMeant = (name === "" || PORT_OPTION.test(name)) && (name !== "" || host !== "");
  return isMeant && text === `${head}${declared}` ? `${head}${port}` : text;
}
