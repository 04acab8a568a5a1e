import type { HttpFaceOptions, ReplicaOptions } from "./options.ts";

/** Options of every service: what has its own replicas, owns all paths below its own, and answers there with what it likes. */
export interface ServiceOptions extends ReplicaOptions, HttpFaceOptions {
  /** Where it sits below its app: `/api` owns `/api` and all below it. Default `/<name>`; `/` is the app's root. Endpoints at paths of their own go before it. */
  path?: string | undefined;
  /** Seconds from the start of its code until it must be there. Default: `serviceStartupTimeoutS`; of a `webServer` 5. */
  startupTimeoutS?: number | undefined;
}

/** Options of services that the gateway connects to over HTTP. */
export interface NodeOptions extends ServiceOptions {
  /** A replica is ready once a GET of this path answers with a status of 200 to 399. Default: once its port is open. */
  healthPath?: string | undefined;
}

/** Options of `app.webServer` with a program in place of a start function. */
export interface CommandOptions extends NodeOptions {
  /** The program and its arguments, run in the deployment's files without a shell. `PORT` and `HOST` tell it where to listen. */
  command: readonly string[];
}

/** Options of `app.asgi` and `app.wsgi`: apps in Python, whose files ship with the deployment. */
export interface PythonOptions extends NodeOptions {
  /** `module:attribute`, or `module:factory()`: what uvicorn and gunicorn would be given. */
  target: string;
  /** The folder that modules are imported from and that the app is started in, relative to the entry file's: `backend`. Default: the entry file's own. */
  dir?: string | undefined;
  /**
   * A file of requirements, relative to `dir`: a `requirements.txt` or a `pyproject.toml`, whose `[project]` dependencies are meant. Default:
   * `requirements.txt` where there is one, else `pyproject.toml`.
   */
  requirements?: string | undefined;
  /** Requirements beside those of the file: `["fastapi>=0.115", "sqlalchemy"]`. */
  packages?: readonly string[] | undefined;
  /** Which Python: `3.12`, or `>=3.11,<3.14`. It must be there where the server runs. Default: what `pyproject.toml` requires, else any from 3.10. */
  pythonVersion?: string | undefined;
}

export interface AsgiOptions extends PythonOptions {}

export interface WsgiOptions extends PythonOptions {
  /** Processes of a replica that share its calls; each has `concurrency / workers` threads. Default 1. */
  workers?: number | undefined;
}
