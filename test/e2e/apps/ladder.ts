/** For rollback.test.ts: versions of it differ in the text of their bundle. */
import { App } from "athanor";

const app = new App("ladder");
const model = "sound";

export const version = app.endpoint("/version", { methods: ["GET"] }, () => "version one");

export const tick = app.function({ schedule: { everyS: 3600 } }, () => "version one");

let asked = 0;
/** Ready when it was asked for the third time. */
export const health = app.endpoint("/health", { methods: ["GET"] }, () => {
  asked++;
  const tail = ["weights: 1 of 2", "weights: 2 of 2"].slice(0, asked);
  return Response.json({ startup_log_tail: tail }, { status: asked < 3 ? 503 : 200 });
});

export class Model {
  @app.enter()
  async load(): Promise<void> {
    if (model === ("stuck" as string)) await new Promise(() => setInterval(() => {}, 1000));
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
