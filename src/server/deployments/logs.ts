/**
 * What replicas print, per deployment, in `<dir>/<deployment>.ndjson`, and once that is full in `<deployment>.1.ndjson`: the newest lines in at most
 * twice MAX_FILE_BYTES. Appending never waits and never fails: what comes faster than the disk takes it is dropped, and a line says so.
 */
import { EventEmitter } from "node:events";
import { appendFile, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { LogLine } from "../../protocol/wire.ts";
import type { Log } from "../log.ts";

const MAX_FILE_BYTES = 4 * 1024 * 1024;
const MAX_PENDING_BYTES = 1024 * 1024;

interface Pending {
  text: string;
  dropped: number;
  writing: Promise<void> | null;
  /** Of the current file; null until it was looked up. */
  fileBytes: number | null;
}

export class ReplicaLogs {
  readonly #dir: string;
  readonly #log: Log;
  readonly #pending = new Map<number, Pending>();
  readonly #lines = new EventEmitter().setMaxListeners(0);

  constructor(p: { dir: string; log: Log }) {
    this.#dir = p.dir;
    this.#log = p.log;
  }

  async start(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  append(deployment: number, line: LogLine): void {
    this.#lines.emit(String(deployment), line);
    const pending = this.#pending.get(deployment) ?? { text: "", dropped: 0, writing: null, fileBytes: null };
    this.#pending.set(deployment, pending);
    if (pending.text.length > MAX_PENDING_BYTES) pending.dropped++;
    else pending.text += `${JSON.stringify(line)}\n`;
    pending.writing ??= this.#write(deployment, pending);
  }

  /** Resolves once what was appended is written. */
  async flush(): Promise<void> {
    await Promise.all([...this.#pending.values()].map(({ writing }) => writing));
  }

  /** The last `limit` lines, oldest first. */
  async tail(deployment: number, p: { limit: number; function: string | null }): Promise<LogLine[]> {
    await this.#pending.get(deployment)?.writing;
    const texts = await Promise.all(
      [this.#file(deployment, 1), this.#file(deployment, 0)].map((path) => readFile(path, "utf8").catch(() => "")),
    );
    const lines: LogLine[] = [];
    const rows = texts.join("").split("\n");
    for (let i = rows.length - 1; i >= 0 && lines.length < p.limit; i--) {
      const line = parse(rows[i] ?? "");
      if (line && (p.function === null || line.function === p.function)) lines.push(line);
    }
    return lines.reverse();
  }

  /** Each new line, until the returned function is called. */
  follow(deployment: number, listener: (line: LogLine) => void): () => void {
    this.#lines.on(String(deployment), listener);
    return () => this.#lines.off(String(deployment), listener);
  }

  /** Deletes the files of deployments that are not kept. */
  async prune(isKept: (deployment: number) => boolean): Promise<void> {
    for (const name of await readdir(this.#dir)) {
      const deployment = Number(/^(\d+)(?:\.1)?\.ndjson$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(deployment) || isKept(deployment)) continue;
      this.#pending.delete(deployment);
      await rm(join(this.#dir, name), { force: true });
    }
  }

  #file(deployment: number, age: 0 | 1): string {
    return join(this.#dir, `${deployment}${age === 0 ? "" : ".1"}.ndjson`);
  }

  async #write(deployment: number, pending: Pending): Promise<void> {
    try {
      // The lines of one turn of the event loop are one write.
      await new Promise((resolve) => setImmediate(resolve));
      while (pending.text !== "") await this.#writeOnce(deployment, pending);
    } catch (error) {
      pending.text = "";
      this.#log.warn({ deployment, err: (error as Error).message }, "a replica's output could not be kept");
    } finally {
      pending.writing = null;
    }
  }

  async #writeOnce(deployment: number, pending: Pending): Promise<void> {
    const file = this.#file(deployment, 0);
    pending.fileBytes ??= await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
    if (pending.fileBytes > MAX_FILE_BYTES) {
      await rename(file, this.#file(deployment, 1));
      pending.fileBytes = 0;
    }
    const text = pending.text + (pending.dropped > 0 ? droppedLine(pending.dropped) : "");
    pending.text = "";
    pending.dropped = 0;
    await appendFile(file, text, { mode: 0o600 });
    pending.fileBytes += Buffer.byteLength(text);
  }
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
