import { type Command, type CommandCall, requireArg, textOption } from "../command.ts";

const ARGS = [{ name: "function", description: "Name of the function" }];
const OPTIONS = [{ flags: "--app-name <name>", description: "The app it belongs to", required: true }];

export const queuePause: Command = {
  name: "queue pause",
  summary: "Start no more jobs of a function; those that run go on, and new ones wait",
  args: ARGS,
  options: OPTIONS,
  run: (call) => setPaused(call, true),
};

export const queueResume: Command = {
  name: "queue resume",
  summary: "Start the jobs of a paused function again",
  args: ARGS,
  options: OPTIONS,
  run: (call) => setPaused(call, false),
};

async function setPaused(call: CommandCall, paused: boolean): Promise<void> {
  const { toWireName } = await import("../../protocol/names.ts");
  const name = toWireName(requireArg(call, "function"));
  const queue = await (await call.api()).pauseQueue(textOption(call, "appName") ?? "", name, paused);
  call.out.result(
    queue,
    () =>
      `${queue.app}/${queue.function} is ${paused ? "paused" : "open"}: ${queue.queued} queued, ${queue.running} running.`,
  );
}
