import type { LogLine } from "../../protocol/wire.ts";
import type { Rebuilt } from "./loop.ts";

/** What a development server tells whoever runs it. */
export interface Report {
  ready(p: { url: string; dataDir: string; entry: string; hasKeys: boolean; chaos: number | null }): void;
  building(changed: readonly string[]): void;
  deployed(rebuilt: Rebuilt): void;
  unchanged(buildMs: number): void;
  failed(error: unknown): void;
  /** The address of a debugger that a replica has opened. */
  inspector(fn: string, url: string): void;
  log(line: LogLine): void;
  stopping(): void;
  stopped(): void;
}
