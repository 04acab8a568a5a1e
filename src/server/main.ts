import { AthanorError } from "../protocol/errors.ts";
import type { Config } from "./config.ts";

/** A server that takes requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where it is reached on this machine: `http://127.0.0.1:7700`. */
  readonly url: string;
  readonly port: number;
  /** The server's token, for `Authorization: Bearer`. */
  readonly token: string;
  /** Stops taking requests, drains, closes everything. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a server and resolves when it takes requests. Throws data_dir_locked, no_token, config_invalid, schema_newer, storage_full.
 */
export async function startServer(_config: Config): Promise<RunningServer> {
  throw new AthanorError("internal", "not there yet");
}
