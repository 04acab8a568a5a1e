import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import { SERVER_EVENT_TYPES, type ServerSnapshot, type ServerWatchEvent } from "../../protocol/server-event.ts";
import type { Context } from "../context.ts";
import type { ServerWatch } from "../events/server-watch.ts";
import { cursorFrame, type FrameSource, frame } from "../http/event-stream.ts";
import { type ApiCall, namesQuery, type Route } from "./route.ts";

export const serverEventRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/events",
    access: "operator",
    summary:
      "What happens on the server, as server-sent events: a snapshot, then jobs, replicas and deployments as they change",
    query: {
      after: {
        description: "The id of the last event that is known; Last-Event-ID wins over it.",
        schema: { type: "string" },
      },
      events: {
        description: "Only these types, separated by commas; snapshots and resets come in any case.",
        schema: { type: "string" },
      },
      app: { description: "Of this app alone.", schema: { type: "string" } },
    },
    headers: { "Last-Event-ID": "The id of the last event that is known." },
    answers: { 200: null },
    handle: (call) => {
      const { context, x } = call;
      const params = {
        after: cursorOf(call),
        only: namesQuery(call, "events", SERVER_EVENT_TYPES),
        app: call.query.get("app"),
        snapshot: (app: string | null) => snapshotOf(context, app),
      };
      context.streams.send(x, (wake) => new ServerFrames(context.serverEvents.watch(params, wake)));
    },
  },
];

/** By the event, which all watchers share. */
const frames = new WeakMap<ServerWatchEvent, Buffer>();

class ServerFrames implements FrameSource {
  readonly #watch: ServerWatch;
  #sent: string | null;

  constructor(watch: ServerWatch) {
    this.#watch = watch;
    this.#sent = watch.cursor;
  }

  get over(): boolean {
    return this.#watch.over;
  }

  get loading(): boolean {
    return this.#watch.loading;
  }

  get error(): unknown {
    return this.#watch.error;
  }

  take(): Uint8Array | null {
    const event = this.#watch.take();
    if (event === null) return null;
    this.#sent = event.id;
    let encoded = frames.get(event);
    if (encoded === undefined) {
      encoded = frame(event);
      frames.set(event, encoded);
    }
    return encoded;
  }

  mark(): Uint8Array | null {
    const { cursor } = this.#watch;
    if (cursor === null || cursor === this.#sent) return null;
    this.#sent = cursor;
    return cursorFrame(cursor);
  }

  close(): void {
    this.#watch.close();
  }
}

function cursorOf(call: ApiCall): string | null {
  // An empty one is that of a browser that has seen none.
  const lastEventId = call.x.header("last-event-id") || null;
  const text = lastEventId ?? call.query.get("after");
  if (text === null || /^[0-9a-z]{1,32}-\d{1,16}$/.test(text)) return text;
  const name = lastEventId === null ? "after" : "Last-Event-ID";
  throw new AthanorError(
    "bad_request",
    `${name} is ${JSON.stringify(text.slice(0, 100))}; the id of an event of this stream is needed`,
  );
}

async function snapshotOf({ store, scheduler, deployments }: Context, app: string | null): Promise<ServerSnapshot> {
  const now = store.clock();
  const isShown = (of: { app: string }): boolean => app === null || of.app === app;
  const counts = await store.jobCounts({ now });
  const live = deployments.listLive().filter(isShown);
  const functions = new Map<string, ServerSnapshot["functions"][number]>();
  const entryOf = (of: string, fn: string): ServerSnapshot["functions"][number] => {
    const entry = functions.get(`${of}/${fn}`) ?? { app: of, function: fn, queued: 0, running: 0 };
    functions.set(`${of}/${fn}`, entry);
    return entry;
  };
  for (const deployment of live) for (const { name } of deployment.spec.functions) entryOf(deployment.app, name);
  for (const count of counts.filter(isShown)) {
    const entry = entryOf(count.app, count.function);
    entry.queued += count.queued;
    entry.running += count.running;
  }
  return {
    at: new Date(now).toISOString(),
    functions: [...functions.values()],
    replicas: scheduler.replicas().filter(isShown),
    deployments: live.map(({ number, app: name, createdAt }) => ({
      deployment_id: formatId("deployments", number),
      app: name,
      status: "live",
      created_at: new Date(createdAt).toISOString(),
    })),
  };
}
