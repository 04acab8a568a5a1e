import { join } from "node:path";
import type { Config } from "./config.ts";
import type { Log } from "./log.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";

/** The store that the settings name. Throws schema_newer, storage_full, store_unreachable, config_invalid. */
export async function openStore(config: Config, log: Log): Promise<Store> {
  if (config.store.kind === "postgres") {
    const { url, connections } = config.store;
    // Its driver is loaded by those who use it alone: it would cost the others a part of their start.
    const { openPostgresStore } = await import("./store/postgres.ts");
    return openPostgresStore({ url, maxConnections: connections, log });
  }
  return openSqliteStore({
    path: join(config.dataDir, "athanor.db"),
    ...(config.maxStorePages === null ? {} : { maxPages: config.maxStorePages }),
  });
}
