import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Builder } from "../../build/builder.ts";
import { projectRoot } from "../../build/schema/program.ts";
import { DEV_DEFAULTS, SERVER_DEFAULTS } from "../../protocol/defaults.ts";
import { AthanorError } from "../../protocol/errors.ts";
import type { LogLine } from "../../protocol/wire.ts";
import { Api } from "../../sdk/client/api.ts";
import { resolveConfig } from "../../server/config.ts";
import { startServer } from "../../server/main.ts";
import { EXIT } from "../command.ts";
import type { Output } from "../output.ts";
import { sourceFolders } from "./folders.ts";
import { freePort } from "./free-port.ts";
import { JsonReport } from "./json-report.ts";
import { listenToKeys } from "./keys.ts";
import { DeploymentLogs } from "./logs.ts";
import { RebuildLoop } from "./loop.ts";
import type { Report } from "./report.ts";
import { TextReport } from "./text-report.ts";
import { Watcher } from "./watcher.ts";

export interface DevFlags {
  port: string | undefined;
  host: string | undefined;
  data: string | undefined;
  logLevel: string;
  chaos: string | boolean | undefined;
  /** A function's name, in code or on the wire. */
  inspect: string | undefined;
}

/** A server of its own, and the app on it, built again at every save. Resolves with the exit status, once it was told to stop. */
export async function runDev(p: { entry: string; flags: DevFlags; out: Output }): Promise<number> {
  const entry = path.resolve(p.entry);
  if (!existsSync(entry) || statSync(entry).isDirectory())
    throw new AthanorError("usage", `${p.entry} is no file`, { hint: "Name the file that has `new App(...)`." });
  const root = projectRoot(entry);
  const dataDir = path.resolve(p.flags.data ?? path.join(root, DEV_DEFAULTS.dataFolder));
  const { flags, out } = p;
  const report: Report = out.json ? new JsonReport(out) : new TextReport(out, root);
  const stop = new StopRequest(report);
  await using owned = new AsyncDisposableStack();
  owned.defer(stop.listen());
  hideFromGit(dataDir);
  const host = flags.host ?? SERVER_DEFAULTS.host;
  const config = resolveConfig(
    {
      ...flags,
      host,
      port: flags.port ?? (await freePort(host)),
      data: dataDir,
      blanks: DEV_DEFAULTS.blankReplicas,
      // Receivers under development are on this machine.
      allowPrivateWebhooks: true,
    },
    // Nothing of the environment: its ATHANOR_* are about another server.
    {},
  );
  const server = await startServer(config);
  owned.use(server);
  const { chaos } = config;
  report.ready({ url: server.url, dataDir, entry, hasKeys: process.stdin.isTTY === true, chaos });
  await watchAndDeploy({ entry, root, server, report, stop, inspect: config.inspect });
  return EXIT.ok;
}

/** Until it is to stop. */
async function watchAndDeploy(p: {
  entry: string;
  root: string;
  server: { url: string; token: string };
  report: Report;
  stop: StopRequest;
  inspect: string | null;
}): Promise<void> {
  const { report, root, stop } = p;
  await using builder = new Builder({ entry: p.entry });
  const api = new Api({ url: p.server.url, token: p.server.token });
  const logs = new DeploymentLogs(api, (line) => showLine(report, line, p.inspect));
  let failed = false;
  let startedAt = 0;
  using watcher = new Watcher({ onChange: (files) => loop.changed(files) });
  const loop = new RebuildLoop({
    build: async () => {
      try {
        return await builder.build();
      } finally {
        watcher.watch({ files: builder.inputs, folders: builder.inputFolders, since: startedAt });
      }
    },
    deploy: (upload, { force }) => api.deploy(upload, { force }),
    onBuilding: (changed) => {
      failed = false;
      startedAt = Date.now();
      report.building(changed);
    },
    onDeployed: (rebuilt) => {
      report.deployed(rebuilt);
      const { functions } = rebuilt.result.deployment;
      if (p.inspect !== null && !functions.some(({ name }) => name === p.inspect))
        report.failed(new AthanorError("function_not_found", `--inspect ${p.inspect}: the app has no such function`));
      logs.follow(rebuilt.result.deployment.deployment_id, { fromStart: !rebuilt.result.unchanged });
    },
    onUnchanged: (buildMs) => report.unchanged(buildMs),
    onFailed: (error) => {
      failed = true;
      report.failed(error);
    },
    onIdle: () => {
      // What mends a failed build may be a file that nothing names yet.
      if (failed) watcher.watch({ files: builder.inputs, folders: sourceFolders(root), since: startedAt });
      builder.prepare();
    },
  });
  const silence = listenToKeys(process.stdin, { redeploy: () => loop.redeploy(), stop: () => stop.ask() });
  try {
    loop.changed([]);
    await stop.asked;
  } finally {
    silence();
    logs.stop();
    watcher.close();
    await loop.stop();
  }
}

/** Node says where its debugger listens by a line on stderr. */
const INSPECTOR_LINE = /^Debugger listening on (ws:\S+)$/;

function showLine(report: Report, line: LogLine, inspect: string | null): void {
  const opened = inspect === null ? null : INSPECTOR_LINE.exec(line.line);
  if (opened === null) report.log(line);
  else report.inspector(line.function ?? inspect ?? "", opened[1] ?? "");
}

/** The folder ignores itself, so that no project need be told of it. */
function hideFromGit(dataDir: string): void {
  const file = path.join(dataDir, ".gitignore");
  if (existsSync(file)) return;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, "*\n");
}

/** Asked once, by key or signal, everything ends in order; asked twice, this process does, and the reaper ends what it ran. */
class StopRequest {
  readonly #report: Report;
  readonly #asked = Promise.withResolvers<void>();
  #isAsked = false;

  constructor(report: Report) {
    this.#report = report;
  }

  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  readonly ask = (): void => {
    if (this.#isAsked) process.exit(EXIT.interrupted);
    this.#isAsked = true;
    this.#report.stopping();
    this.#asked.resolve();
  };

  /** Of a terminal that is closed too. */
  listen(): () => void {
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) process.on(signal, this.ask);
    return () => {
      this.#report.stopped();
      for (const signal of signals) process.off(signal, this.ask);
    };
  }
}
