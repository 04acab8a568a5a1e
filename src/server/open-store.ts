import { join } from "node:path";
import { AthanorError } from "../protocol/errors.ts";
import type { Config } from "./config.ts";
import type { Log } from "./log.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

/** The store that the settings name. Throws schema_newer, storage_full, store_unreachable, config_invalid. */
export async function openStore(config: Config, _log: Log): Promise<Store> {
  if (config.store.kind === "postgres") throw new AthanorError("config_invalid", "this version has SQLite alone");
  return openSqliteStore({
    path: join(config.dataDir, "athanor.db"),
    ...(config.maxStorePages === null ? {} : { maxPages: config.maxStorePages }),
  });
}
