import path from "node:path";
import type { SourcePlace } from "../../protocol/errors.ts";
import type { DeployResult, FunctionJson, LogLine } from "../../protocol/wire.ts";
import { describeFailure } from "../failure.ts";
import { type Output, printable } from "../output.ts";
import { showFunctions } from "../show.ts";
import { codeFrame } from "./code-frame.ts";
import type { Rebuilt } from "./loop.ts";
import { placesOf, sourceOf } from "./places.ts";
import type { Report } from "./report.ts";
import { Style } from "./style.ts";

/** For who sits before it. */
export class TextReport implements Report {
  readonly #out: Output;
  readonly #style: Style;
  readonly #root: string;
  #url = "";
  #shown = "";
  #live: string | null = null;
  /** Of the longest name of a function. */
  #nameWidth = 0;

  constructor(out: Output, root: string) {
    this.#out = out;
    this.#style = new Style(out.streams.stdout);
    this.#root = root;
  }

  ready(p: { url: string; dataDir: string; entry: string; hasKeys: boolean; chaos: number | null }): void {
    this.#url = p.url;
    const keys = p.hasKeys ? "  r deploys again, q stops" : "";
    this.#out.line(`${this.#style.apply("bold", "Athanor dev")} at ${p.url}${this.#dim(keys)}`);
    this.#out.line(this.#dim(`  data   ${p.dataDir}`));
    if (p.chaos !== null) this.#out.line(this.#dim(`  chaos  --chaos ${p.chaos} makes the same faults again`));
  }

  building(changed: readonly string[]): void {
    const names = changed.slice(0, 3).map((file) => path.relative(this.#root, file));
    const more = changed.length > names.length ? ` and ${changed.length - names.length} more` : "";
    if (names.length > 0) this.#out.line(this.#dim(`${names.join(", ")}${more} changed`));
  }

  deployed({ result, buildMs, deployMs }: Rebuilt): void {
    const { deployment, unchanged } = result;
    this.#live = deployment.deployment_id;
    this.#nameWidth = Math.max(0, ...deployment.functions.map(({ name }) => name.length));
    const took = `${Math.round(buildMs + deployMs)} ms (build ${Math.round(buildMs)}, deploy ${Math.round(deployMs)})`;
    const id = deployment.deployment_id;
    this.#out.line(
      unchanged
        ? `Unchanged: ${deployment.app} is live as ${id}`
        : `${this.#style.apply("green", "Deployed")} ${deployment.app} as ${id} in ${took}`,
    );
    this.#showAddresses(result, deployment.functions);
  }

  unchanged(): void {
    this.#out.line(`Unchanged: ${this.#live ?? "what was built"} is live with this very code`);
  }

  failed(error: unknown): void {
    this.#out.line(this.#style.apply("red", printableLines(describeFailure(error, false))));
    for (const place of placesOf(error)) this.#showPlace(place);
    if (this.#live !== null) this.#out.line(`${this.#live} stays live. Waiting for a change.`);
    else this.#out.line("Nothing is live yet. Waiting for a change.");
  }

  inspector(fn: string, url: string): void {
    this.#out.line(`${this.#style.apply("bold", "Debugger")} of ${fn} at ${url}`);
  }

  log({ function: fn, line, stream }: LogLine): void {
    const name = fn ?? "app";
    const shown = this.#style.name(name, name.padEnd(this.#nameWidth));
    this.#out.line(
      `${shown} ${stream === "stderr" ? this.#style.apply("red", "|") : this.#dim("|")} ${printable(line)}`,
    );
  }

  stopping(): void {
    this.#out.line("Stopping. Once more to stop at once.");
  }

  stopped(): void {
    this.#out.line("Stopped.");
  }

  /** Once, and again when they are others. */
  #showAddresses({ links }: DeployResult, functions: FunctionJson[]): void {
    const addresses = `${showFunctions(functions, this.#url)}\ndocs: ${new URL(links.docs, this.#url).href}`;
    if (addresses === this.#shown) return;
    this.#shown = addresses;
    this.#out.line(`\n${addresses}\n`);
  }

  #showPlace(place: SourcePlace): void {
    const text = sourceOf(this.#root, place);
    const frame = text === null ? "" : codeFrame(text, place.line, place.column);
    if (frame === "") return;
    const at = `${place.file}:${place.line}${place.column === null ? "" : `:${place.column}`}`;
    this.#out.line(`\n${this.#style.apply("bold", at)}\n${printableLines(frame)}\n`);
  }

  #dim(text: string): string {
    return this.#style.apply("dim", text);
  }
}

function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
