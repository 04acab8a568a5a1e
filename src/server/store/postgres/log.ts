import { type JobEvent, type NewJobEvent, TERMINAL_EVENTS } from "../../../protocol/event.ts";

/**
 * A job's log: its newest events stand in the job's own row (`tail`), so that a short one costs no row of its own; what is older stands in
 * segments. Each event is a line of its type and its data. Here is what adding to a log makes of it; events.ts and jobs.ts store that.
 */

/** Beyond this the tail becomes a segment. */
const MAX_TAIL_BYTES = 4096;
const MAX_TAIL_EVENTS = 64;
const MAX_SEGMENT_BYTES = 128 * 1024;

/** The part of a job's row that its log needs. */
export interface LogHead {
  job: number;
  first_event: number;
  last_event: number;
  events_window: number;
  events_window_bytes: number;
  tail: string;
}

export interface Segment {
  first: number;
  last: number;
  bytes: number;
}

export interface SealedSegment extends Segment {
  job: number;
  lines: string;
}

export interface LogStep {
  events: JobEvent[];
  /** What the row then holds. */
  head: Pick<LogHead, "first_event" | "last_event" | "tail">;
  sealed: SealedSegment[];
}

/** Reads the lines of a segment. */
export type ReadLines = (segment: Segment) => Promise<string>;

interface Entry {
  id: number;
  line: string;
  bytes: number;
}

/** `segments` are those of the job, ascending. */
export async function extendLog(
  head: LogHead,
  added: NewJobEvent[],
  segments: Segment[],
  read: ReadLines,
): Promise<LogStep> {
  const events = added.map((event, index) => ({ id: head.last_event + 1 + index, ...event }) as JobEvent);
  const entries = [...tailEntries(head), ...events.map(toEntry)];
  const last = head.last_event + events.length;
  // Terminal events are the last of a log, so what is kept of it has no gap.
  const terminal = events.find(({ event }) => TERMINAL_EVENTS.has(event))?.id;
  let first = Math.max(head.first_event, Math.min(last - head.events_window + 1, terminal ?? last));
  // The end of a log adds no bytes, and so it drops nothing, not even an event that alone was too large and was kept as the newest.
  if (terminal === undefined) {
    const fits = await firstWithin(head.events_window_bytes, first, entries, segments, read);
    first = Math.max(first, Math.min(fits, last));
  }
  const kept = entries.filter(({ id }) => id >= first);
  return { events, ...layOut(head.job, first, last, kept) };
}

/** True where the log's older part is in segments. */
export function hasSegments(head: LogHead): boolean {
  return head.last_event - countLines(head.tail) >= head.first_event;
}

/** The oldest id, from `first` on, with which the log's data fits into so many bytes. */
async function firstWithin(
  windowBytes: number,
  first: number,
  entries: Entry[],
  segments: Segment[],
  read: ReadLines,
): Promise<number> {
  let left = windowBytes;
  for (const { id, bytes } of entries.toReversed()) {
    if (id < first) return first;
    left -= bytes;
    if (left < 0) return id + 1;
  }
  for (const segment of segments.toReversed()) {
    if (segment.last < first) return first;
    if (segment.bytes <= left) {
      left -= segment.bytes;
      continue;
    }
    for (const { id, bytes } of parse(await read(segment), segment.first).toReversed()) {
      if (id < first) return first;
      left -= bytes;
      if (left < 0) return id + 1;
    }
  }
  return first;
}

function layOut(job: number, first: number, last: number, kept: Entry[]): Omit<LogStep, "events"> {
  const bytes = kept.reduce((sum, entry) => sum + entry.bytes, 0);
  const small = bytes <= MAX_TAIL_BYTES && kept.length <= MAX_TAIL_EVENTS;
  const tail = small ? kept.map(({ line }) => `${line}\n`).join("") : "";
  return { head: { first_event: first, last_event: last, tail }, sealed: small ? [] : seal(job, kept) };
}

function seal(job: number, entries: Entry[]): SealedSegment[] {
  const sealed: SealedSegment[] = [];
  let part: Entry[] = [];
  let bytes = 0;
  const close = () => {
    const [oldest, newest] = [part[0], part.at(-1)];
    if (oldest === undefined || newest === undefined) return;
    sealed.push({ job, first: oldest.id, last: newest.id, bytes, lines: part.map(({ line }) => `${line}\n`).join("") });
    part = [];
    bytes = 0;
  };
  for (const entry of entries) {
    if (bytes + entry.bytes > MAX_SEGMENT_BYTES) close();
    part.push(entry);
    bytes += entry.bytes;
  }
  close();
  return sealed;
}

function tailEntries(head: LogHead): Entry[] {
  return parse(head.tail, head.last_event - countLines(head.tail) + 1);
}

function parse(lines: string, first: number): Entry[] {
  if (lines === "") return [];
  return lines
    .slice(0, -1)
    .split("\n")
    .map((line, index) => ({ id: first + index, line, bytes: dataBytes(line) }));
}

function countLines(lines: string): number {
  let count = 0;
  for (let at = lines.indexOf("\n"); at !== -1; at = lines.indexOf("\n", at + 1)) count++;
  return count;
}

function toEntry(event: JobEvent): Entry {
  const line = encode(event);
  return { id: event.id, line, bytes: dataBytes(line) };
}

/** The value of a result stands in its job's row alone. */
export function encode({ event, data }: NewJobEvent): string {
  return event === "job.result" ? event : `${event} ${JSON.stringify(data)}`;
}

/** The events that end a log count for nothing. */
function dataBytes(line: string): number {
  const space = line.indexOf(" ");
  return space === -1 || line.startsWith("job.end ") ? 0 : Buffer.byteLength(line) - space - 1;
}

/** The events of lines, of which the first has the id `first`. */
export function decode(lines: string, first: number, result: string | null): JobEvent[] {
  return parse(lines, first).map(({ id, line }) => {
    const space = line.indexOf(" ");
    if (space === -1) return { id, event: line, data: resultData(result) } as JobEvent;
    return { id, event: line.slice(0, space), data: JSON.parse(line.slice(space + 1)) } as JobEvent;
  });
}

/** The events of a job's tail, from `after` on. */
export function decodeTail(head: Pick<LogHead, "last_event" | "tail">, result: string | null): JobEvent[] {
  return decode(head.tail, head.last_event - countLines(head.tail) + 1, result);
}

/** Of a `job.result`: the value, or the blob that holds it. */
export function resultData(result: string | null): { value: null; blob?: string } {
  if (result === null) return { value: null };
  return result.startsWith("@") ? { value: null, blob: result.slice(1) } : { value: JSON.parse(result) };
}
