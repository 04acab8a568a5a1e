import { type Command, type CommandCall, requireArg, textOption } from "../command.ts";
import { rhythm } from "./schedule-list.ts";

const ARGS = [{ name: "function", description: "Name of the function" }];
const OPTIONS = [{ flags: "--app-name <name>", description: "The app it belongs to", required: true }];

export const schedulePause: Command = {
  name: "schedule pause",
  summary: "No scheduled runs of a function until it is resumed, whatever is deployed meanwhile",
  args: ARGS,
  options: OPTIONS,
  run: (call) => change(call, "pauseSchedule"),
};

export const scheduleResume: Command = {
  name: "schedule resume",
  summary: "Scheduled runs again, from the next one on; those of the pause are not made up for",
  args: ARGS,
  options: OPTIONS,
  run: (call) => change(call, "resumeSchedule"),
};

export const scheduleTrigger: Command = {
  name: "schedule trigger",
  summary: "Run a scheduled function now, beside its schedule",
  args: ARGS,
  options: OPTIONS,
  async run(call) {
    const { app, name } = await functionOf(call);
    const job = await (await call.api()).triggerSchedule(app, name);
    call.out.result(job, () => job.job_id);
    call.out.note(`Watch it: athanor job watch ${job.job_id}`);
  },
};

async function change(call: CommandCall, step: "pauseSchedule" | "resumeSchedule"): Promise<void> {
  const { app, name } = await functionOf(call);
  const schedule = await (await call.api())[step](app, name);
  const state = schedule.next_at === null ? "paused" : `next at ${schedule.next_at}`;
  call.out.result(schedule, () => `${schedule.app}/${schedule.function}, ${rhythm(schedule)}: ${state}.`);
}

async function functionOf(call: CommandCall): Promise<{ app: string; name: string }> {
  const { toWireName } = await import("../../protocol/names.ts");
  return { app: textOption(call, "appName") ?? "", name: toWireName(requireArg(call, "function")) };
}
