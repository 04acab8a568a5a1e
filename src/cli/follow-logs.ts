import { EventSourceParserStream } from "eventsource-parser/stream";
import type { LogLine } from "../protocol/wire.ts";
import type { Api } from "../sdk/client/api.ts";

/** A deployment's log as it grows, until the server or the caller ends it. Throws the signal's reason where it aborts. */
export async function* followLogs(
  api: Api,
  deployment: string,
  { signal, ...query }: { function?: string | undefined; limit?: number | undefined; signal?: AbortSignal },
): AsyncGenerator<LogLine> {
  const path = `/v1/deployments/${encodeURIComponent(deployment)}/logs`;
  const response = await api.send("GET", path, {
    query: { ...query, follow: true },
    headers: { accept: "text/event-stream" },
    signal,
  });
  const events = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const event of events ?? []) yield JSON.parse(event.data) as LogLine;
}
