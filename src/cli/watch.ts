import type { JobEventType, WatchEvent } from "../protocol/event.ts";
import type { Api } from "../sdk/client/api.ts";
import { watchJob } from "../sdk/client/job.ts";
import { EXIT } from "./command.ts";
import { untilInterrupted } from "./interrupt.ts";
import { type Output, printable } from "./output.ts";
import { ProgressLine } from "./progress-line.ts";
import { ending, percent, shorten } from "./show.ts";

export interface WatchParams {
  after?: number | undefined;
  snapshot?: boolean | undefined;
  events?: JobEventType[] | undefined;
}

/** Prints a job's events to its end; 0 where it succeeded, else 1. Ctrl-C ends the watching, not the job. */
export async function watch(out: Output, api: Api, job: string, params: WatchParams): Promise<number> {
  const view = new EventView(out);
  let last = params.after;
  const ended = await untilInterrupted(async (signal) => {
    let status = "";
    for await (const event of watchJob(api, job, { ...params, signal })) {
      last = event.id;
      view.show(event);
      if (event.event === "job.end") status = event.data.status;
    }
    return status === "succeeded" ? EXIT.ok : EXIT.failed;
  });
  view.close();
  if (ended !== null) return ended;
  const resume = [
    `athanor job watch ${job}`,
    ...(last === undefined ? [] : [`--after ${last}`]),
    ...(params.events === undefined ? [] : [`--events ${params.events.join(",")}`]),
  ];
  out.note(`Detached; ${job} goes on. Resume with: ${resume.join(" ")}`);
  return EXIT.interrupted;
}

/** Events as lines; on a terminal progress is one line that is redrawn, and only what happens stays on the screen. */
class EventView {
  readonly #out: Output;
  readonly #progress: ProgressLine | null;

  constructor(out: Output) {
    this.#out = out;
    this.#progress = out.isInteractive ? new ProgressLine(out.streams.stderr) : null;
  }

  show(event: WatchEvent): void {
    if (this.#out.json) this.#out.line(JSON.stringify(event));
    else if (this.#progress && event.event === "job.progress") {
      this.#progress.update(event.data.progress, event.data.message ?? "");
    } else {
      const print = () => this.#out.line(`${String(event.id).padStart(4)}  ${describeEvent(event)}`);
      if (this.#progress) this.#progress.around(print);
      else print();
    }
  }

  close(): void {
    this.#progress?.clear();
  }
}

/** One line for an event. */
export function describeEvent(event: WatchEvent): string {
  const name = event.event.replace(/^job\./, "");
  switch (event.event) {
    case "job.queued":
      return `${name}  position ${event.data.position}`;
    case "job.running":
      return `${name}  attempt ${event.data.attempt} on ${event.data.replica_id}`;
    case "job.progress":
      return `${name}  ${percent(event.data.progress)}${event.data.message ? `  ${printable(event.data.message)}` : ""}`;
    case "job.log":
      return `${event.data.stream}  ${printable(event.data.line)}`;
    case "job.chunk":
      return `${name} ${event.data.index}  ${shorten(JSON.stringify(event.data.value))}`;
    case "job.retrying":
      return `${name}  in ${event.data.delay_s} s, after attempt ${event.data.attempt}: ${event.data.error.code}: ${printable(event.data.error.message)}`;
    case "job.result":
      return `${name}  ${shorten(JSON.stringify(event.data.value))}`;
    case "job.end":
      if (!event.data.error) return `${name}  ${event.data.status}`;
      return `${name}  ${ending(event.data.status, event.data.error.code)}: ${printable(event.data.error.message)}`;
    case "job.snapshot":
      return `${name}  ${event.data.status} ${percent(event.data.progress)}${event.data.message ? `  ${printable(event.data.message)}` : ""}`;
    case "stream.reset":
      return `${event.event}  events ${event.data.requested + 1} to ${event.data.earliest - 1} are no longer kept`;
  }
}
