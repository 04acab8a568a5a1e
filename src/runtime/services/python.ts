/** Apps in Python: a process of uvicorn or gunicorn, which listens on a unix socket. */
import { chmodSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AthanorError } from "../../protocol/errors.ts";
import type { PythonSpec } from "../../protocol/spec.ts";
import { Program, type ProgramExit } from "./program.ts";
import type { RunningService, ServiceStart } from "./service.ts";
import { socketPath } from "./socket-path.ts";
import { inTime } from "./startup.ts";

/** Beside this module; in the built package beside the runtime. */
const MAIN = fileURLToPath(new URL("./python/_athanor_main.py", import.meta.url));

/** Longer than the gateway keeps a connection that nobody uses. */
const KEEP_ALIVE_S = 3600;

/** What `_athanor_app.py` reports. */
type Report = { type: "ready" } | { type: "error"; summary: string; place: string | null; traceback: string };

export async function startPython(start: ServiceStart): Promise<RunningService> {
  const { spec } = start.fn;
  const python = spec.service.python as PythonSpec;
  const path = socketPath(start);
  const { promise: reported, resolve: report } = Promise.withResolvers<Report>();
  const program = new Program({
    command: [start.python ?? "", "-u", MAIN],
    cwd: join(start.filesDir, python.paths[0] ?? "."),
    env: environment(start, python, path),
    write: start.write,
    onReport: (line) => {
      const news = reportIn(line);
      if (news !== null) report(news);
    },
  });
  const close = async (): Promise<void> => void (await program.stop(spec.service.drainTimeoutS * 1000));
  try {
    await inTime(
      spec.service.startupTimeoutS,
      async () => ready(await Promise.race([reported, program.exited]), program, start),
      () => `${nameOf(start)} was still starting`,
    );
  } catch (error) {
    await program.stop(0);
    throw error;
  }
  chmodSync(path, 0o600);
  let closing = false;
  void program.exited.then(({ code }) => closing || start.ended(code ?? 1));
  return {
    address: { path },
    handler: null,
    connect: null,
    close: () => {
      closing = true;
      return close();
    },
  };
}

/** Null where it is none: workers that fail at once may write into each other's lines, and the app has the descriptor too. */
function reportIn(line: string): Report | null {
  try {
    const { type, ...rest } = JSON.parse(line);
    return type === "ready" || type === "error" ? { type, ...rest } : null;
  } catch {
    return null;
  }
}

/** Throws startup_failed where it is not. */
async function ready(news: Report | ProgramExit, program: Program, start: ServiceStart): Promise<void> {
  if ("type" in news && news.type === "ready") return;
  if (!("type" in news)) {
    const said = program.takeLastStderr().join("\n");
    throw new AthanorError("startup_failed", `${nameOf(start)} ended with ${news.how} as it started\n${said}`.trim());
  }
  const place = news.place === null ? "" : ` (${news.place})`;
  const missing = /^ModuleNotFoundError: No module named '([^'.]+)/.exec(news.summary)?.[1];
  const error = new AthanorError("startup_failed", `${nameOf(start)} could not start: ${news.summary}${place}`, {
    ...(missing === undefined
      ? {}
      : { hint: `Add the package of ${missing} to the requirements, or its file to the project.` }),
  });
  // The app's own, not that of this module.
  error.stack = news.traceback;
  throw error;
}

function nameOf({ fn }: ServiceStart): string {
  return `${fn.spec.name} (${fn.spec.service.python?.target})`;
}

function environment(start: ServiceStart, python: PythonSpec, socket: string): NodeJS.ProcessEnv {
  const { kind, concurrency, service } = start.fn.spec;
  const { env } = process;
  const bin = dirname(start.python ?? "");
  const settings = {
    kind,
    target: python.target,
    socket,
    workers: python.workers,
    threads: Math.ceil(concurrency / python.workers),
    keepAliveS: KEEP_ALIVE_S,
    drainTimeoutS: Math.ceil(service.drainTimeoutS),
  };
  const paths = python.paths.map((path) => join(start.filesDir, path));
  return {
    PYTHONFAULTHANDLER: "1",
    ...env,
    PATH: [bin, env.PATH ?? ""].join(delimiter),
    VIRTUAL_ENV: dirname(bin),
    PYTHONPATH: [...paths, ...(env.PYTHONPATH ? [env.PYTHONPATH] : [])].join(delimiter),
    PYTHONUNBUFFERED: "1",
    ATHANOR_PYTHON: JSON.stringify(settings),
  };
}
