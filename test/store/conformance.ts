import { describe } from "node:test";
import { cancelConformance } from "./conformance/cancel.ts";
import { deploymentConformance } from "./conformance/deployments.ts";
import { eventConformance } from "./conformance/events.ts";
import type { Open } from "./conformance/given.ts";
import { keyConformance } from "./conformance/keys.ts";
import { limitConformance } from "./conformance/limits.ts";
import { modelConformance } from "./conformance/model.ts";
import { queueConformance } from "./conformance/queue.ts";
import { scheduleConformance } from "./conformance/schedules.ts";
import { serverConformance } from "./conformance/servers.ts";
import { startConformance } from "./conformance/start.ts";
import { transitionConformance } from "./conformance/transitions.ts";
import { upkeepConformance } from "./conformance/upkeep.ts";
import { webhookConformance } from "./conformance/webhooks.ts";

/** What every implementation of the Store contract must do. `open` gives an empty store whose disposal removes its data. */
export function storeConformance(name: string, open: Open): void {
  describe(`${name} store`, () => {
    deploymentConformance(open);
    queueConformance(open);
    startConformance(open);
    limitConformance(open);
    keyConformance(open);
    transitionConformance(open);
    cancelConformance(open);
    serverConformance(open);
    scheduleConformance(open);
    webhookConformance(open);
    upkeepConformance(open);
    eventConformance(open);
    modelConformance(open);
  });
}
