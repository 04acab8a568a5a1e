import type { StandardSchemaV1 } from "@standard-schema/spec";
import { AthanorError } from "../protocol/errors.ts";
import { NAME_PATTERN, RESERVED_APP_NAMES } from "../protocol/names.ts";
import type { FunctionKind } from "../protocol/spec.ts";
import { callerFile } from "./call-site.ts";
import type {
  AnyHandler,
  BatchHandle,
  BatchHandler,
  BatchSchemaHandle,
  BatchSchemaHandler,
  HandlerHandle,
  MethodDecorator,
  OptionalSchema,
  RequiredInput,
  SchemaHandle,
  SchemaHandler,
} from "./declaration.ts";
import type { UntypedHandle } from "./handle.ts";
import { ClassHookList } from "./hooks.ts";
import { LocalHandle } from "./local-handle.ts";
import type { AppOptions, BatchedOptions, EndpointOptions, FunctionOptions, UnbatchedOptions } from "./options.ts";
import { isWhole, registrationOf, takeSite } from "./registration.ts";
import { APP_STATE, type AppState, type Registration, registry } from "./registry.ts";
import type { ServedApp, ServeOptions } from "./serve.ts";
import type { FetchFactory, NodeFactory, Service, WebServerStart } from "./service.ts";
import type { AsgiOptions, CommandOptions, NodeOptions, ServiceOptions, WsgiOptions } from "./service-options.ts";

/**
 * A named set of functions, written in one entry file. Importing the file declares; `athanor deploy FILE` or `app.deploy()` puts it on a server.
 */
export class App {
  readonly name: string;
  readonly #registrations: Registration[] = [];
  readonly #handles: LocalHandle[] = [];
  readonly #hooks = new ClassHookList();
  readonly #entry: string | null;
  readonly [APP_STATE]: AppState;

  /**
   * @param name 1 to 30 of a-z, 0-9 and single inner hyphens; the first part of its endpoints' URLs.
   * @throws AthanorError `name_invalid`.
   */
  constructor(name: string, options: AppOptions = {}) {
    checkAppName(name);
    this.name = name;
    this.#entry = callerFile(App);
    const hooks = this.#hooks;
    this[APP_STATE] = {
      name,
      entry: this.#entry,
      options,
      registrations: this.#registrations,
      get hooks() {
        return hooks.byClass();
      },
    };
    registry().apps.push(this);
  }

  /** Declares a function with an HTTP face: `POST <server>/<app><path>`. Without a path it is `/<name>`; without a handler it decorates a method. */
  endpoint<I extends StandardSchemaV1, R extends readonly unknown[], O extends OptionalSchema = undefined>(
    path: string,
    options: EndpointOptions & BatchedOptions & RequiredInput<I, O>,
    handler: BatchSchemaHandler<I, O, R>,
  ): BatchSchemaHandle<I, O, R>;
  endpoint<I extends StandardSchemaV1, R extends readonly unknown[], O extends OptionalSchema = undefined>(
    options: EndpointOptions & BatchedOptions & RequiredInput<I, O>,
    handler: BatchSchemaHandler<I, O, R>,
  ): BatchSchemaHandle<I, O, R>;
  endpoint<I extends StandardSchemaV1, R, O extends OptionalSchema = undefined>(
    path: string,
    options: EndpointOptions & RequiredInput<I, O>,
    handler: SchemaHandler<I, O, R>,
  ): SchemaHandle<I, O, R>;
  endpoint<I extends StandardSchemaV1, R, O extends OptionalSchema = undefined>(
    options: EndpointOptions & RequiredInput<I, O>,
    handler: SchemaHandler<I, O, R>,
  ): SchemaHandle<I, O, R>;
  endpoint<F extends BatchHandler>(path: string, options: EndpointOptions & BatchedOptions, handler: F): BatchHandle<F>;
  endpoint<F extends BatchHandler>(options: EndpointOptions & BatchedOptions, handler: F): BatchHandle<F>;
  endpoint<F extends AnyHandler>(
    path: string,
    options: EndpointOptions & UnbatchedOptions,
    handler: F,
  ): HandlerHandle<F>;
  endpoint<F extends AnyHandler>(path: string, handler: F): HandlerHandle<F>;
  endpoint<F extends AnyHandler>(options: EndpointOptions & UnbatchedOptions, handler: F): HandlerHandle<F>;
  endpoint<F extends AnyHandler>(handler: F): HandlerHandle<F>;
  endpoint(path: string, options?: EndpointOptions & Partial<BatchedOptions>): MethodDecorator;
  endpoint(options?: EndpointOptions & Partial<BatchedOptions>): MethodDecorator;
  endpoint(...args: unknown[]): unknown {
    return this.#register("endpoint", args);
  }

  /** Declares a function that is called as a job, with no HTTP face. Without a handler it decorates a method. */
  function<I extends StandardSchemaV1, R extends readonly unknown[], O extends OptionalSchema = undefined>(
    options: FunctionOptions & BatchedOptions & RequiredInput<I, O>,
    handler: BatchSchemaHandler<I, O, R>,
  ): BatchSchemaHandle<I, O, R>;
  function<I extends StandardSchemaV1, R, O extends OptionalSchema = undefined>(
    options: FunctionOptions & RequiredInput<I, O>,
    handler: SchemaHandler<I, O, R>,
  ): SchemaHandle<I, O, R>;
  function<F extends BatchHandler>(options: FunctionOptions & BatchedOptions, handler: F): BatchHandle<F>;
  function<F extends AnyHandler>(options: FunctionOptions & UnbatchedOptions, handler: F): HandlerHandle<F>;
  function<F extends AnyHandler>(handler: F): HandlerHandle<F>;
  function(options?: FunctionOptions & Partial<BatchedOptions>): MethodDecorator;
  function(...args: unknown[]): unknown {
    return this.#register("function", args);
  }

  /**
   * Declares a service of a Web-standard handler, `(request) => Response`, or of any object with `.fetch`: an app of Hono, H3 or Elysia. It answers all
   * requests below its path. Without a factory it decorates a method, which is the factory.
   */
  fetch(options: ServiceOptions, factory: FetchFactory): Service;
  fetch(factory: FetchFactory): Service;
  fetch(options?: ServiceOptions): MethodDecorator;
  fetch(...args: unknown[]): unknown {
    return this.#register("fetch", args);
  }

  /** Declares a service of Node's `(request, response)`: Express, Koa, Fastify, NestJS, an `http.Server`. Without a factory it decorates a method, which is the factory. */
  node(options: NodeOptions, factory: NodeFactory): Service;
  node(factory: NodeFactory): Service;
  node(options?: NodeOptions): MethodDecorator;
  node(...args: unknown[]): unknown {
    return this.#register("node", args);
  }

  /**
   * Declares a service of code, or of any program, that binds a port by itself.
   * @param port What it binds where it does not heed `PORT` and `HOST` of its environment.
   */
  webServer(port: number, options: NodeOptions, start: WebServerStart): Service;
  webServer(port: number, options: CommandOptions): Service;
  webServer(port: number, start: WebServerStart): Service;
  webServer(...args: unknown[]): unknown {
    return this.#register("webServer", args);
  }

  /**
   * Declares a service of an ASGI app in Python (FastAPI, Starlette, Django), run under uvicorn.
   * @param target `main:app`: the module, below the entry file's folder, and the app in it.
   */
  asgi(target: string, options?: Omit<AsgiOptions, "target">): Service;
  asgi(options: AsgiOptions): Service;
  asgi(...args: unknown[]): unknown {
    return this.#register("asgi", args);
  }

  /**
   * Declares a service of a WSGI app in Python (Flask, Django), run under gunicorn.
   * @param target `main:app`: the module, below the entry file's folder, and the app in it.
   */
  wsgi(target: string, options?: Omit<WsgiOptions, "target">): Service;
  wsgi(options: WsgiOptions): Service;
  wsgi(...args: unknown[]): unknown {
    return this.#register("wsgi", args);
  }

  /** Decorates a method that runs once in each replica, before its first call. Where it throws, the replica does not start. */
  enter(...args: unknown[]): MethodDecorator {
    return this.#hooks.decorator("enter", takeSite(args));
  }

  /** Decorates a method that runs once in each replica, after its last call. */
  exit(...args: unknown[]): MethodDecorator {
    return this.#hooks.decorator("exit", takeSite(args));
  }

  /** The handles of all functions by name, `infer` or `swap-face`; also of methods, and of functions that only the server knows. */
  get functions(): { readonly [name: string]: UntypedHandle } {
    return new Proxy({}, { get: (_, name) => (typeof name === "string" ? this.#byName(name) : undefined) });
  }

  /**
   * Builds the entry file and deploys it, as `athanor deploy` does.
   * @param options `entry`: the entry file; default: the file of this `new App(...)`.
   * @returns the deployment's id, `deployments:7`; that of the live one where nothing has changed.
   * @throws AthanorError for whatever is wrong with the app, the build or the server.
   */
  async deploy(options: { entry?: string | URL; url?: string; token?: string } = {}): Promise<string> {
    const { deploy } = await import("./deploy.ts");
    return deploy({ entry: options.entry ?? this.#entry, url: options.url, token: options.token });
  }

  /**
   * Serves the app's endpoints and fetch services in this process, with no server: for tests, and for the smallest deployments. Requests are
   * validated, and errors are shown, as a server does it; its paths are at the root, `http://127.0.0.1:PORT/hello`. There are no jobs: what is queued
   * answers 501. Enter hooks have run when it resolves; exit hooks run at its end.
   * @throws AthanorError for whatever is wrong with the app, and `usage` where its entry file is not found.
   */
  async serve(options: ServeOptions = {}): Promise<ServedApp> {
    const { serve } = await import("./serve.ts");
    return serve(this, options);
  }

  #register(kind: FunctionKind, given: unknown[]): UntypedHandle | MethodDecorator {
    const registration = registrationOf(kind, given);
    this.#registrations.push(registration);
    const { site, handler } = registration;
    const handle = new LocalHandle({
      app: this.name,
      registration,
      entry: this.#entry,
      file: site ? null : callerFile(this[kind as "function"]),
    });
    this.#handles.push(handle);
    return handler || isWhole(registration) ? handle : this.#hooks.methodDecorator(registration);
  }

  #byName(name: string): UntypedHandle {
    const known = this.#handles.find((handle) => handle.isNamed(name));
    return known ?? new LocalHandle({ app: this.name, registration: null, entry: this.#entry, file: null, name });
  }
}

function checkAppName(name: string): void {
  if (typeof name !== "string" || !NAME_PATTERN.test(name)) {
    throw new AthanorError("name_invalid", `the app's name is ${JSON.stringify(name)}`);
  }
  if (RESERVED_APP_NAMES.has(name)) {
    throw new AthanorError("name_invalid", `the app's name is ${name}, which the server uses itself`, {
      hint: "Choose another name.",
    });
  }
}
