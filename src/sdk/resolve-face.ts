import { FUNCTION_DEFAULTS as F } from "../protocol/defaults.ts";
import type { CorsSpec, EndpointSpec, HttpFaceSpec, HttpMethod, PythonSpec, ServiceSpec } from "../protocol/spec.ts";
import { invalid, type OptionSources } from "./option-sources.ts";
import type { CorsOptions, EndpointOptions, HttpFaceOptions } from "./options.ts";
import type { CommandOptions, WsgiOptions } from "./service-options.ts";

type AllServiceOptions = HttpFaceOptions & Partial<CommandOptions> & Partial<WsgiOptions>;

export function resolveEndpoint(sources: OptionSources, all: EndpointOptions): EndpointSpec {
  const path = sources.path ?? `/${sources.name}`;
  checkPath(sources, path);
  return {
    path,
    methods: [...new Set<HttpMethod>(all.methods ?? ["POST"])],
    summary: all.summary ?? null,
    tags: [...(all.tags ?? [])],
    maxUploadFileSizeMb: all.maxUploadFileSizeMb ?? F.maxUploadFileSizeMb,
    ...faceOf(sources, all),
  };
}

/** What a service is, by its options. */
export function resolveService(sources: OptionSources, all: AllServiceOptions): ServiceSpec {
  const path = all.path ?? `/${sources.name}`;
  checkPath(sources, path);
  const face = faceOf(sources, all);
  const isServer = sources.kind === "webServer";
  return {
    path,
    healthPath: all.healthPath ?? null,
    startupTimeoutS: all.startupTimeoutS ?? (isServer ? F.startupTimeoutS : face.serviceStartupTimeoutS),
    server: isServer ? { port: sources.port ?? 0, command: all.command === undefined ? null : [...all.command] } : null,
    python: sources.kind === "asgi" || sources.kind === "wsgi" ? resolvePython(all) : null,
    ...face,
  };
}

/** As far as options say it: a file of requirements is still named as pip would, `-r requirements.txt`; the build reads it. */
function resolvePython(all: AllServiceOptions): PythonSpec {
  const file = all.requirements === undefined ? [] : [`-r ${plain(all.requirements)}`];
  return {
    target: all.target ?? "",
    paths: [plain(all.dir ?? ".")],
    requirements: [...file, ...(all.packages ?? [])],
    pythonVersion: all.pythonVersion ?? null,
    workers: all.workers ?? 1,
  };
}

/** `./backend/` -> `backend` */
function plain(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 ? "." : parts.join("/");
}

function faceOf(sources: OptionSources, all: HttpFaceOptions): HttpFaceSpec {
  return {
    access: all.access ?? "public",
    cors: resolveCors(sources, all.cors),
    serviceStartupTimeoutS: all.serviceStartupTimeoutS ?? F.serviceStartupTimeoutS,
    drainTimeoutS: all.drainTimeoutS ?? F.drainTimeoutS,
  };
}

/** Paths of an app that the gateway serves itself. */
const RESERVED_PATHS = ["/openapi.json", "/docs"];

function checkPath(sources: OptionSources, path: string): void {
  const problem = pathProblem(path);
  if (problem !== null) throw invalid(sources, `path is ${JSON.stringify(path)}: ${problem}`);
}

function pathProblem(path: string): string | null {
  if (!path.startsWith("/")) return "it must begin with /";
  if (!/^[A-Za-z0-9._~!$&'()*+,;=:@/-]+$/.test(path)) {
    return "it may have letters, digits and -._~!$&'()*+,;=:@/ only, and no parameters such as {id}: those go in the query or the body";
  }
  if (
    path.length > 1 &&
    path
      .split("/")
      .slice(1)
      .some((part) => part === "" || part === "." || part === "..")
  ) {
    return "it must have no empty, . or .. segments and no / at its end";
  }
  if (RESERVED_PATHS.some((reserved) => path === reserved || path.startsWith(`${reserved}/`))) {
    return `${RESERVED_PATHS.join(" and ")} are the app's own documentation`;
  }
  return null;
}

const CORS_HEADERS = ["content-type", "authorization", "prefer", "idempotency-key"];

function resolveCors(sources: OptionSources, cors: boolean | CorsOptions | undefined): CorsSpec | null {
  if (cors === undefined || cors === false) return null;
  const given = cors === true ? {} : cors;
  const origins = [...(given.origins ?? ["*"])];
  const credentials = given.credentials ?? false;
  if (credentials && origins.includes("*")) {
    throw invalid(sources, 'cors has credentials for any origin, "*": name the origins that may have them');
  }
  return { origins, headers: [...(given.headers ?? CORS_HEADERS)].map((name) => name.toLowerCase()), credentials };
}
