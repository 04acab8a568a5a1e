import { join } from "node:path";
import { agreeSecret } from "./auth.ts";
import { claimBlobFolder } from "./blobs/folder.ts";
import type { Config } from "./config.ts";
import type { Log } from "./log.ts";
import { openStore } from "./open-store.ts";
import { FileNumbers, type ReplicaNumbers, StoreNumbers } from "./scheduler/numbers.ts";
import type { Store } from "./store/store.ts";

/** What a server stands on, and has in common with the others of its store. */
export interface Foundation {
  store: Store;
  /** Signs job links and replica tokens. */
  secret: Buffer;
  numbers: ReplicaNumbers;
}

/** Opens the store, and agrees with its other servers. Throws what openStore does, and blobs_not_shared. */
export async function layFoundation(config: Config, log: Log): Promise<Foundation> {
  await using undo = new AsyncDisposableStack();
  const store = undo.use(await openStore(config, log));
  await claimBlobFolder({ dir: config.blobsDir, store });
  const secret = await agreeSecret(config.dataDir, store);
  const numbers = store.shared
    ? await StoreNumbers.open(store)
    : new FileNumbers(join(config.dataDir, "replica-number"));
  undo.move();
  return { store, secret, numbers };
}
