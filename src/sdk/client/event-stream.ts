/** A job's event stream through broken connections, each event once and in order, up to `job.end`. See sse.ts. */
import type { WatchEvent } from "../../protocol/event.ts";
import { messages, type SseMessage, type SseParams } from "./sse.ts";

export interface EventSourceParams extends Omit<SseParams, "connect"> {
  /** Opens the stream. `after` is null where no cursor is to be sent. */
  connect(p: { after: number | null; snapshot: boolean; signal: AbortSignal }): Promise<Response>;
  after?: number | undefined;
  snapshot?: boolean | undefined;
}

export async function* eventStream(params: EventSourceParams): AsyncGenerator<WatchEvent, void, undefined> {
  let cursor = params.after ?? null;
  let snapshotDue = params.snapshot ?? false;
  const connect = (signal: AbortSignal) => params.connect({ after: cursor, snapshot: snapshotDue, signal });
  for await (const message of messages({ ...params, connect })) {
    const id = Number(message.id);
    if (!Number.isSafeInteger(id)) continue;
    const event = toEvent(message, id);
    if (event === null) {
      cursor = Math.max(id, cursor ?? 0);
      continue;
    }
    if (!isNew(event, cursor)) continue;
    cursor = cursorAfter(event, cursor);
    if (event.event === "job.snapshot") snapshotDue = false;
    yield event;
    if (event.event === "job.end") return;
  }
}

function isNew(event: WatchEvent, cursor: number | null): boolean {
  if (event.event === "job.snapshot" || event.event === "stream.reset") return true;
  return cursor === null || event.id > cursor;
}

/** A snapshot is where a watcher without a cursor begins; one that has a cursor still gets the events since. */
function cursorAfter(event: WatchEvent, cursor: number | null): number {
  return event.event === "job.snapshot" && cursor !== null ? cursor : event.id;
}

function toEvent(message: SseMessage, id: number): WatchEvent | null {
  return message.event === null ? null : ({ id, event: message.event, data: message.data } as WatchEvent);
}
