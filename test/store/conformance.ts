import { describe } from "node:test";
import { deploymentConformance } from "./conformance/deployments.ts";
import { eventConformance } from "./conformance/events.ts";
import type { Open } from "./conformance/given.ts";
import { modelConformance } from "./conformance/model.ts";
import { queueConformance } from "./conformance/queue.ts";
import { transitionConformance } from "./conformance/transitions.ts";
import { upkeepConformance } from "./conformance/upkeep.ts";

/** What every implementation of the Store contract must do. `open` gives an empty store whose disposal removes its data. */
export function storeConformance(name: string, open: Open): void {
  describe(`${name} store`, () => {
    deploymentConformance(open);
    queueConformance(open);
    transitionConformance(open);
    upkeepConformance(open);
    eventConformance(open);
    modelConformance(open);
  });
}
