import type { WatchEvent } from "../protocol/event.ts";
import type { Api } from "../sdk/client/api.ts";
import { watchJob } from "../sdk/client/job.ts";
import { untilInterrupted } from "./interrupt.ts";
import { type Output, printable } from "./output.ts";
import { ProgressLine } from "./progress-line.ts";
import { percent } from "./show.ts";

/** Shows on stderr what a job does, to its end; false where Ctrl-C ended the showing. */
export async function accompany(out: Output, api: Api, job: string): Promise<boolean> {
  const bar = out.isInteractive ? new ProgressLine(out.streams.stderr) : null;
  const ended = await untilInterrupted(async (signal) => {
    for await (const event of watchJob(api, job, { signal })) show(out, bar, event);
    return true;
  });
  bar?.clear();
  return ended ?? false;
}

function show(out: Output, bar: ProgressLine | null, event: WatchEvent): void {
  if (event.event === "job.log") {
    const print = () => out.note(printable(event.data.line));
    if (bar) bar.around(print);
    else print();
  }
  const status = statusOf(event);
  if (status === null) return;
  if (bar) bar.update(status.fraction, status.text);
  else out.note(status.plain);
}

/** Where the job stands after an event; null where the event does not say. */
function statusOf(event: WatchEvent): { fraction: number; text: string; plain: string } | null {
  if (event.event === "job.queued") {
    return {
      fraction: 0,
      text: `queued, position ${event.data.position}`,
      plain: `queued, position ${event.data.position}`,
    };
  }
  if (event.event === "job.running") {
    return { fraction: 0, text: "running", plain: `running, attempt ${event.data.attempt}` };
  }
  if (event.event === "job.retrying") {
    const text = `retrying in ${event.data.delay_s} s: ${printable(event.data.error.message)}`;
    return { fraction: 0, text, plain: text };
  }
  if (event.event !== "job.progress") return null;
  const message = printable(event.data.message ?? "");
  return {
    fraction: event.data.progress,
    text: message,
    plain: `${percent(event.data.progress)}  ${message}`.trimEnd(),
  };
}
