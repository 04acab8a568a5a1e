/**
 * What replicas print, per deployment, in `<dir>/<deployment>.ndjson`, and once that is full in `<deployment>.1.ndjson`: the newest lines in two
 * files of at most `maxFileBytes` each. All together take at most `maxBytes`, for which the oldest deployments that run nothing lose theirs.
 * Appending never waits and never fails: what comes faster than the disk takes it is dropped, and a line says so.
 *
 * The files of one deployment:
 *   idle --append()--> writing --> idle      idle --tail()--> reading --> idle      then readers that wait go first, then what is pending
 */
import { EventEmitter } from "node:events";
import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { LOG_DEFAULTS } from "../../protocol/defaults.ts";
import type { LogLine } from "../../protocol/wire.ts";
import type { Log } from "../log.ts";
import { within } from "./turns.ts";

interface Output {
  pending: string;
  dropped: number;
  /** The files are being written or read; null: they are idle. */
  busy: Promise<unknown> | null;
  /** Wait for it to be idle. */
  readers: number;
  /** Of the current file; null until it was looked up. */
  fileBytes: number | null;
  /** Replicas that may still write. */
  open: Set<Promise<unknown>>;
}

export interface TailParams {
  /** The last this many lines. */
  limit: number;
  function?: string | null;
  stream?: LogLine["stream"];
}

export class ReplicaLogs {
  readonly #dir: string;
  readonly #log: Log;
  readonly #limits: { maxFileBytes: number; maxPendingBytes: number; maxBytes: number };
  readonly #outputs = new Map<number, Output>();
  readonly #lines = new EventEmitter().setMaxListeners(0);

  constructor(p: { dir: string; log: Log; limits?: Partial<typeof LOG_DEFAULTS> }) {
    this.#dir = p.dir;
    this.#log = p.log;
    this.#limits = { ...LOG_DEFAULTS, ...p.limits };
  }

  async start(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** A replica writes until `ended`. */
  open(deployment: number, ended: Promise<unknown>): void {
    const { open } = this.#of(deployment);
    open.add(ended);
    void ended.then(() => open.delete(ended));
  }

  append(deployment: number, line: LogLine): void {
    this.#lines.emit(String(deployment), line);
    const output = this.#of(deployment);
    if (output.pending.length > this.#limits.maxPendingBytes) output.dropped++;
    else output.pending += `${JSON.stringify(line)}\n`;
    this.#writeSoon(deployment, output);
  }

  /** Resolves once what was appended is written. */
  async flush(): Promise<void> {
    for (const output of this.#outputs.values()) while (output.busy !== null) await output.busy;
  }

  /** The last lines, oldest first. `follow` hears each that comes after them, none twice, until `signal` aborts. */
  async tail(
    deployment: number,
    p: TailParams,
    follow?: { line(line: LogLine): void; signal: AbortSignal },
  ): Promise<LogLine[]> {
    const output = this.#of(deployment);
    output.readers++;
    while (output.busy !== null) await output.busy;
    output.readers--;
    // From here on nothing is written until the files are read; what waits for that is in none of them.
    const { pending } = output;
    const reading = Promise.all(
      [this.#file(deployment, 1), this.#file(deployment, 0)].map((path) => readFile(path, "utf8").catch(() => "")),
    );
    output.busy = reading;
    if (follow !== undefined && !follow.signal.aborted) {
      const listener = (line: LogLine): void => follow.line(line);
      this.#lines.on(String(deployment), listener);
      follow.signal.addEventListener("abort", () => this.#lines.off(String(deployment), listener), { once: true });
    }
    const texts = await reading;
    output.busy = null;
    this.#writeSoon(deployment, output);
    return lastLines(texts.join("") + pending, p);
  }

  /** The last of what its replicas wrote to stderr; of those that are being ended, all. */
  async lastStderr(deployment: number, limit: number): Promise<string[]> {
    await within(Promise.allSettled(this.#of(deployment).open), LOG_DEFAULTS.lastWordsMs);
    return (await this.tail(deployment, { limit, stream: "stderr" })).map(({ line }) => line);
  }

  /** Deletes the files of deployments that are no more, and the oldest ones where all are too many. */
  async prune(exists: (deployment: number) => boolean): Promise<void> {
    const kept: { path: string; deployment: number; bytes: number }[] = [];
    for (const name of await readdir(this.#dir)) {
      const deployment = Number(/^(\d+)(?:\.1)?\.ndjson$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(deployment)) continue;
      const path = join(this.#dir, name);
      if (exists(deployment)) kept.push({ path, deployment, bytes: (await stat(path)).size });
      else await this.#remove(deployment, path);
    }
    let bytes = kept.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of kept.sort((a, b) => a.deployment - b.deployment)) {
      if (bytes <= this.#limits.maxBytes) return;
      const output = this.#outputs.get(file.deployment);
      if (output !== undefined && (output.open.size > 0 || output.busy !== null)) continue;
      await this.#remove(file.deployment, file.path);
      bytes -= file.bytes;
    }
  }

  #of(deployment: number): Output {
    let output = this.#outputs.get(deployment);
    if (output === undefined) {
      output = { pending: "", dropped: 0, busy: null, readers: 0, fileBytes: null, open: new Set() };
      this.#outputs.set(deployment, output);
    }
    return output;
  }

  #file(deployment: number, age: 0 | 1): string {
    return join(this.#dir, `${deployment}${age === 0 ? "" : ".1"}.ndjson`);
  }

  async #remove(deployment: number, path: string): Promise<void> {
    this.#outputs.delete(deployment);
    await rm(path, { force: true });
  }

  #writeSoon(deployment: number, output: Output): void {
    if (output.busy !== null || output.readers > 0 || output.pending === "") return;
    output.busy = this.#write(deployment, output).then(() => {
      output.busy = null;
      this.#writeSoon(deployment, output);
    });
  }

  async #write(deployment: number, output: Output): Promise<void> {
    try {
      // The lines of one turn of the event loop are one write.
      await new Promise((resolve) => setImmediate(resolve));
      const text = output.pending + (output.dropped > 0 ? droppedLine(output.dropped) : "");
      output.pending = "";
      output.dropped = 0;
      await this.#append(deployment, output, text);
    } catch (error) {
      output.fileBytes = null;
      this.#log.warn({ deployment, err: (error as Error).message }, "a replica's output could not be kept");
    }
  }

  async #append(deployment: number, output: Output, text: string): Promise<void> {
    const file = this.#file(deployment, 0);
    output.fileBytes ??= await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    const bytes = Buffer.byteLength(text);
    if (output.fileBytes > 0 && output.fileBytes + bytes > this.#limits.maxFileBytes) {
      await rename(file, this.#file(deployment, 1));
      output.fileBytes = 0;
    }
    await appendFile(file, text, { mode: 0o600 });
    output.fileBytes += bytes;
  }
}

function lastLines(text: string, p: TailParams): LogLine[] {
  const lines: LogLine[] = [];
  const rows = text.split("\n");
  for (let i = rows.length - 1; i >= 0 && lines.length < p.limit; i--) {
    const line = parse(rows[i] ?? "");
    if (line === null) continue;
    const isAskedFor =
      (p.function == null || line.function === p.function) && (p.stream === undefined || line.stream === p.stream);
    if (isAskedFor) lines.push(line);
  }
  return lines.reverse();
}

function droppedLine(count: number): string {
  const line: LogLine = {
    at: new Date().toISOString(),
    replica_id: "",
    function: null,
    job_id: null,
    stream: "stderr",
    line: `[athanor] ${count} lines came too fast and were not kept`,
  };
  return `${JSON.stringify(line)}\n`;
}

function parse(row: string): LogLine | null {
  try {
    return row === "" ? null : (JSON.parse(row) as LogLine);
  } catch {
    // A crash cut the line.
    return null;
  }
}
