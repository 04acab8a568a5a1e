import { storeConformance } from "./conformance.ts";
import { openTempStore } from "./temp-store.ts";

storeConformance("SQLite", () => openTempStore());
