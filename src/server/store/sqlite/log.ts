import { type JobEvent, type JobEventData, type NewJobEvent, TERMINAL_EVENTS } from "../../../protocol/event.ts";
import type { Connection } from "./connection.ts";

/**
 * How a job's log is kept: the newest events as lines in the job's own row (`log`, the tail), older ones in `event_segments`. A line is the event's
 * type, a space, and its data as JSON; a line of a `job.result` is the type alone, since the row holds the value. Ids count up by 1 from the first
 * line. An event's size is that of its data; the events that end a log have none.
 */

/** A tail beyond this becomes a segment, so that a row stays small. */
const TAIL_MAX_BYTES = 4096;
/** Long batches are cut here, so that the oldest segment, which is read to prune by bytes, is short. */
const SEGMENT_MAX_BYTES = 256 * 1024;

export interface LogHead {
  job: number;
  first_event: number;
  last_event: number;
  tail_first: number;
  segment_bytes: number;
  events_window: number;
  events_window_bytes: number;
  tail_bytes: number;
}

export function toLines(events: NewJobEvent[]): string {
  let text = "";
  for (const { event, data } of events)
    text += event === "job.result" ? "job.result\n" : `${event} ${JSON.stringify(data)}\n`;
  return text;
}

/** `result` is the job's, for its `job.result`. */
export function toEvent(id: number, line: string, result: string | null): JobEvent {
  if (line === "job.result") return { id, event: "job.result", data: resultData(result) };
  const space = line.indexOf(" ");
  return { id, event: line.slice(0, space), data: JSON.parse(line.slice(space + 1)) } as JobEvent;
}

export function resultData(result: string | null): JobEventData["job.result"] {
  if (result === null) throw new Error("a log has a job.result, and its job has no result");
  return result.startsWith("@") ? { value: null, blob: result.slice(1) } : { value: JSON.parse(result) };
}

/** The lines of a log's part, without the end of the last. */
export function splitLines(text: string): string[] {
  if (text === "") return [];
  return text.slice(0, -1).split("\n");
}

/** Appends to the log of a running job. The caller has numbered the events: the first is `last_event + 1`. */
export function appendToLog(db: Connection, head: LogHead, events: NewJobEvent[]): void {
  const { job } = head;
  const last = head.last_event + events.length;
  const first = Math.max(head.first_event, last - head.events_window + 1);
  // Of a batch that is longer than the window, the beginning is never stored.
  const kept = first > head.last_event + 1 ? events.slice(first - head.last_event - 1) : events;
  const lines = toLines(kept);
  const bytes = Buffer.byteLength(lines);
  if (
    kept.length === events.length &&
    head.tail_bytes + bytes <= TAIL_MAX_BYTES &&
    head.segment_bytes + head.tail_bytes + bytes <= head.events_window_bytes
  ) {
    db.run("logAppend", { job, first, last, lines });
    if (first > head.first_event) dropSegments(db, { ...head, first_event: first });
    return;
  }
  rebuild(db, head, { first, last, added: lines, addedFirst: last - kept.length + 1 });
}

/** What a verb that appended to the tail by itself has still to do: `row` is as it left it. */
export function tidyLog(db: Connection, row: Omit<LogHead, "tail_bytes"> & { log: string }): void {
  const tail = Buffer.byteLength(row.log);
  if (tail > TAIL_MAX_BYTES || row.segment_bytes + tail > row.events_window_bytes) {
    const { first_event: first, last_event: last } = row;
    rebuild(db, { ...row, tail_bytes: tail }, { first, last, added: "", addedFirst: last + 1 });
  } else dropSegments(db, row);
}

/** Drops the segments whose events have all left the window. */
export function dropSegments(db: Connection, head: Pick<LogHead, "job" | "first_event" | "segment_bytes">): void {
  if (head.segment_bytes === 0) return;
  const dropped = dropFrom(db, head.job, head.first_event);
  if (dropped > 0) db.run("logSegmentBytes", { job: head.job, dropped });
}

function dropFrom(db: Connection, job: number, first: number): number {
  return db.all<{ bytes: number }>("segmentDrop", { job, first }).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Stores tail and addition anew: as the tail where that is short, else as segments; pruned to the window in events and bytes. */
function rebuild(
  db: Connection,
  head: LogHead,
  p: { first: number; last: number; added: string; addedFirst: number },
): void {
  const { job } = head;
  let { first } = p;
  let lines: string[] = [];
  let linesFirst = p.addedFirst;
  if (first < p.addedFirst && head.tail_bytes > 0) {
    lines = splitLines((db.get("logTail", { job }) as { log: string }).log);
    linesFirst = head.tail_first;
  }
  for (const line of splitLines(p.added)) lines.push(line);
  let segmentBytes = head.segment_bytes - dropFrom(db, job, first);
  let sizes = lines.map(sizeOf);
  let bytes = 0;
  for (let i = Math.max(0, first - linesFirst); i < sizes.length; i++) bytes += sizes[i] as number;
  if (segmentBytes + bytes > head.events_window_bytes) {
    first = fit(db, head, {
      first,
      last: p.last,
      linesFirst,
      sizes,
      excess: segmentBytes + bytes - head.events_window_bytes,
    });
    segmentBytes -= dropFrom(db, job, first);
  }
  const stale = Math.max(0, first - linesFirst);
  lines = lines.slice(stale);
  sizes = sizes.slice(stale);
  linesFirst += stale;
  const text = lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  if (Buffer.byteLength(text) <= TAIL_MAX_BYTES) {
    db.run("logReplace", { job, first, last: p.last, log: text, tailFirst: linesFirst, segmentBytes });
    return;
  }
  segmentBytes += storeSegments(db, job, linesFirst, lines, sizes);
  db.run("logReplace", { job, first, last: p.last, log: "", tailFirst: p.last + 1, segmentBytes });
}

/** The id from which on the events fit into the window's bytes; the newest is kept whatever its size. */
function fit(
  db: Connection,
  head: LogHead,
  p: { first: number; last: number; linesFirst: number; sizes: number[]; excess: number },
): number {
  let { first, excess } = p;
  const segments = db.all<{ first: number; last: number; bytes: number }>("segmentSizes", { job: head.job });
  for (const segment of segments) {
    if (excess <= 0) return first;
    if (segment.bytes <= excess && segment.last < p.last) {
      excess -= segment.bytes;
      first = Math.max(first, segment.last + 1);
      continue;
    }
    const { data } = db.get("segmentGet", { job: head.job, first: segment.first }) as { data: string };
    for (const [index, line] of splitLines(data).entries()) {
      const id = segment.first + index;
      if (id >= p.last || excess <= 0) break;
      excess -= sizeOf(line);
      first = Math.max(first, id + 1);
    }
  }
  for (let id = p.linesFirst; id < p.last && excess > 0; id++) {
    if (id < p.first) continue;
    excess -= p.sizes[id - p.linesFirst] as number;
    first = id + 1;
  }
  return first;
}

function storeSegments(db: Connection, job: number, first: number, lines: string[], sizes: number[]): number {
  let total = 0;
  let start = 0;
  while (start < lines.length) {
    let end = start;
    let bytes = 0;
    do bytes += sizes[end++] as number;
    while (end < lines.length && bytes + (sizes[end] as number) <= SEGMENT_MAX_BYTES);
    const data = `${lines.slice(start, end).join("\n")}\n`;
    db.run("segmentInsert", { job, first: first + start, last: first + end - 1, bytes, data });
    total += bytes;
    start = end;
  }
  return total;
}

function sizeOf(line: string): number {
  const space = line.indexOf(" ");
  if (space === -1 || TERMINAL_EVENTS.has(line.slice(0, space) as JobEvent["event"])) return 0;
  return Buffer.byteLength(line) - space - 1;
}
