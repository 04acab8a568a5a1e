import type { Server } from "node:http";
import { AthanorError } from "../protocol/errors.ts";
import { toWireName } from "../protocol/names.ts";
import type { LoadedFunction } from "../runtime/load.ts";
import type { AppState, DeclaredFunction, RegisteredApp } from "../sdk/registry.ts";
import { AppHandler } from "../serve/handler.ts";
import { exchangeServer } from "../serve/http-server.ts";
import { stderrLog } from "../serve/log.ts";
import { type OpenApp, openApp } from "../serve/open-app.ts";
import { tokenCheck } from "../serve/token.ts";

/** An open app, and a server for it that no socket leads to. */
export class TestHost {
  readonly app: OpenApp;
  readonly server: Server;

  private constructor(app: OpenApp, server: Server) {
    this.app = app;
    this.server = server;
  }

  static async open(app: RegisteredApp, options: { entry?: string | URL; token?: string }): Promise<TestHost> {
    const opened = await openApp(app, options.entry);
    const handler = new AppHandler({ app: opened, isAllowed: tokenCheck(options.token ?? null), log: stderrLog });
    await opened.loaded.enter();
    await handler.start();
    return new TestHost(
      opened,
      exchangeServer((x) => handler.handle(x), stderrLog),
    );
  }

  /** Throws function_not_found. */
  specOf(state: AppState, { registration, name }: DeclaredFunction): LoadedFunction {
    const spec = registration === null ? undefined : this.app.specOf(registration);
    const found = this.app.loaded.functions.get(spec?.name ?? toWireName(name ?? ""));
    if (found === undefined)
      throw new AthanorError("function_not_found", `the app ${state.name} has no function ${name}`);
    return found;
  }

  async close(): Promise<void> {
    await this.app.loaded.exit();
  }
}
