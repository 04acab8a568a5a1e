import { chmodSync, rmSync } from "node:fs";
import { type NodeApp, nodeAppOf } from "./node-app.ts";
import type { RunningService, ServiceStart } from "./service.ts";
import { socketPath } from "./socket-path.ts";
import { inTime } from "./startup.ts";

/** Makes the app of a `node` service, and lets it listen on a unix socket unless it listens already. */
export async function startNode(start: ServiceStart): Promise<RunningService> {
  const { name, service } = start.fn.spec;
  const path = socketPath(start);
  return inTime(
    service.startupTimeoutS,
    async () => {
      const app = await nodeAppOf(await start.fn.call(), { name, path });
      const isOwn = "path" in app.address && app.address.path === path;
      if (isOwn) chmodSync(path, 0o600);
      return running(app, isOwn ? path : null);
    },
    () => `the factory of ${name} has not returned an app that listens`,
  );
}

function running({ address, connect, close }: NodeApp, ownPath: string | null): RunningService {
  return {
    address,
    handler: null,
    connect,
    async close() {
      try {
        await close();
      } finally {
        if (ownPath !== null) rmSync(ownPath, { force: true });
      }
    },
  };
}
