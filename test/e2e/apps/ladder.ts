/** For rollback.test.ts: versions of it differ in the text of their bundle. */
import { App } from "athanor";

const app = new App("ladder");
const model = "sound";

export const version = app.endpoint("/version", { methods: ["GET"] }, () => "version one");

export const tick = app.function({ schedule: { everyS: 3600 } }, () => "version one");

export class Model {
  @app.enter()
  load(): void {
    if (model !== ("sound" as string)) {
      console.error(`the model is ${model}`);
      throw new Error("cannot load it");
    }
  }

  @app.endpoint("/model", { methods: ["GET"], memoryMb: 512 })
  model(): string {
    return "version one";
  }
}
