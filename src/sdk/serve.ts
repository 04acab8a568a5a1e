import { AthanorError } from "../protocol/errors.ts";
import { type RegisteredApp, runtimeGlobal } from "./registry.ts";

export interface ServeOptions {
  /** 0, the default: any free one. */
  port?: number;
  /** Default `127.0.0.1`, which this machine alone reaches. */
  host?: string;
  /** The file that `athanor deploy` would be given. Default: that of `new App(...)`. */
  entry?: string | URL;
  /** What `access: "token"` asks for. Default: the variable ATHANOR_TOKEN; without either such endpoints answer 401 to everyone. */
  token?: string;
}

/** An app that is served by this process. */
export interface ServedApp extends AsyncDisposable {
  /** `http://127.0.0.1:49152` */
  readonly url: string;
  readonly port: number;
  /** Takes no more requests, lets those under way end, and runs the exit hooks. Repeatable. */
  close(): Promise<void>;
}

/** What serves is not part of what user code is bundled with: it is loaded from beside this file, when it is first needed. */
export async function serve(app: RegisteredApp, options: ServeOptions): Promise<ServedApp> {
  if (runtimeGlobal())
    throw new AthanorError(
      "usage",
      "app.serve() was called in a replica, or while the file is built; call it from another file",
    );
  const module = import.meta.url.endsWith(".ts") ? "../serve/index.ts" : "./serve.js";
  const { serveApp } = (await import(new URL(module, import.meta.url).href)) as {
    serveApp(app: RegisteredApp, options: ServeOptions): Promise<ServedApp>;
  };
  return serveApp(app, options);
}
