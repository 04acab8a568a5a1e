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
