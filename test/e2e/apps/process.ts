/** Functions that hold a server up or outlive it, for server-process.test.ts. */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { App } from "athanor";

const app = new App("process");

const untilThere = async (path: string): Promise<void> => {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10));
};

/** Ends when the file is there, whatever anyone else wants. */
export const holds = app.function(async (path: string) => {
  console.log("holding");
  await untilThere(path);
  return "held";
});

export const holdsEndpoint = app.endpoint("/holds", async (path: string, started: string) => {
  writeFileSync(started, "");
  await untilThere(path);
  return "held";
});

/** Never yields, heeds nothing, and has a child that has left its process group. */
export const stubborn = app.function((spinning: string) => {
  process.on("SIGTERM", () => {});
  spawn("sh", ["-c", "trap '' TERM HUP; while :; do sleep 1; done"], { detached: true, stdio: "ignore" }).unref();
  spawn("sleep", ["600"], { stdio: "ignore" });
  writeFileSync(spinning, "");
  for (;;);
});
