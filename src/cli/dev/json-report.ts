import type { LogLine } from "../../protocol/wire.ts";
import { describeFailure } from "../failure.ts";
import type { Output } from "../output.ts";
import type { Rebuilt } from "./loop.ts";
import { placesOf } from "./places.ts";
import type { Report } from "./report.ts";

/** A line of JSON for each thing that happens. */
export class JsonReport implements Report {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  ready(p: { url: string; dataDir: string; entry: string; chaos: number | null }): void {
    this.#line("ready", { url: p.url, data_dir: p.dataDir, entry: p.entry, chaos: p.chaos, pid: process.pid });
  }

  building(changed: readonly string[]): void {
    this.#line("building", { changed });
  }

  deployed({ result, buildMs, deployMs }: Rebuilt): void {
    this.#line(result.unchanged ? "unchanged" : "deployed", {
      ...result,
      build_ms: Math.round(buildMs),
      deploy_ms: Math.round(deployMs),
    });
  }

  unchanged(buildMs: number): void {
    this.#line("unchanged", { build_ms: Math.round(buildMs) });
  }

  failed(error: unknown): void {
    this.#line("failed", { problem: JSON.parse(describeFailure(error, true)) as object, places: placesOf(error) });
  }

  inspector(fn: string, url: string): void {
    this.#line("inspector", { function: fn, url });
  }

  log(line: LogLine): void {
    this.#line("log", line);
  }

  stopping(): void {
    this.#line("stopping", {});
  }

  stopped(): void {
    this.#line("stopped", {});
  }

  #line(event: string, data: object): void {
    this.#out.line(JSON.stringify({ event, ...data }));
  }
}
