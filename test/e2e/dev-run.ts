import { type CliOptions, CliRun } from "./cli-process.ts";

// biome-ignore lint/suspicious/noExplicitAny: each kind of event has other fields, which the tests know
export type DevEvent = { event: string } & Record<string, any>;

/** A run of `athanor dev`. With --json its events are read one after the other. */
export class DevRun extends CliRun {
  /** How much of stdout was read as events. */
  #read = 0;
  readonly events: DevEvent[] = [];
  readonly #taken = new Set<DevEvent>();

  /** `home`: a folder whose path marks it, and all that it starts. */
  constructor(args: string[], home: string, options: Partial<Pick<CliOptions, "terminal" | "env">> = {}) {
    const env = { TMPDIR: home, ATHANOR_DATA: "", NO_COLOR: "1", ...options.env };
    super(args, { cwd: home, keepStdin: true, ...options, env });
  }

  /** The next event of the kind that was not taken before. */
  async event(kind: string, fits: (event: DevEvent) => boolean = () => true): Promise<DevEvent> {
    for (;;) {
      const found = this.#all().find((event) => event.event === kind && !this.#taken.has(event) && fits(event));
      if (found) {
        this.#taken.add(found);
        return found;
      }
      const seen = this.stdout.length;
      await this.until("stdout", new RegExp(`^[^]{${seen}}[^]*\\n`));
    }
  }

  #all(): DevEvent[] {
    const end = this.stdout.lastIndexOf("\n") + 1;
    const lines = this.stdout
      .slice(this.#read, end)
      .split("\n")
      .filter((line) => line !== "");
    this.#read = end;
    this.events.push(...lines.map((line) => JSON.parse(line) as DevEvent));
    return this.events;
  }
}
