import type { WatchEvent } from "../../src/protocol/event.ts";
import type { Json } from "../../src/protocol/json.ts";
import type { Endpoint } from "./system.ts";

/** Silence after which a watcher takes its connection for broken. The server's heartbeat comes every 15 s. */
const SILENCE_MS = 20_000;

/** Reads a job's stream into `events` until it ends or breaks, which is told by nothing: a broken one has no `job.end`. */
export async function readStream(p: {
  from: Endpoint;
  job: string;
  after: number;
  events: WatchEvent[];
  signal?: AbortSignal;
}): Promise<void> {
  const broken = new AbortController();
  const signal = p.signal === undefined ? broken.signal : AbortSignal.any([broken.signal, p.signal]);
  let silence = setTimeout(() => broken.abort(), SILENCE_MS);
  try {
    const headers = { authorization: `Bearer ${p.from.token}`, "last-event-id": `${p.after}` };
    const response = await fetch(new URL(`/v1/jobs/${p.job}/events`, p.from.url), { headers, signal });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      return;
    }
    let text = "";
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(silence);
      silence = setTimeout(() => broken.abort(), SILENCE_MS);
      text += piece;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) p.events.push(...eventIn(block));
    }
  } catch {
    // The connection broke; what came before counts.
  } finally {
    clearTimeout(silence);
  }
}

function eventIn(block: string): WatchEvent[] {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
  }
  const data = fields.get("data");
  if (data === undefined) return [];
  return [{ id: Number(fields.get("id")), event: fields.get("event"), data: JSON.parse(data) as Json } as WatchEvent];
}
