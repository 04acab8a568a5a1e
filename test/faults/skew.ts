/**
 * Preloaded into a server (`node --import`): shifts what it takes for the time of day by the milliseconds that a file holds, which the harness
 * changes while it runs. Timers, as on a machine whose clock is set, are not moved.
 */
import { readFileSync } from "node:fs";

const POLL_MS = 20;
const file = process.env.ATHANOR_TEST_CLOCK ?? "";
const RealDate = Date;
let offsetMs = 0;

function look(): void {
  try {
    offsetMs = Number(readFileSync(file, "utf8")) || 0;
  } catch {
    offsetMs = 0;
  }
}

look();
setInterval(look, POLL_MS).unref();

const now = (): number => RealDate.now() + offsetMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [now()] : args, self) as Date,
  apply: () => new RealDate(now()).toString(),
  get: (target, name, self) => (name === "now" ? now : Reflect.get(target, name, self)),
});
