import { AthanorError } from "../../protocol/errors.ts";
import { JOB_EVENT_TYPES, type JobEventType } from "../../protocol/event.ts";
import { formatId } from "../../protocol/names.ts";
import type { Payload } from "../store/store.ts";
import { sendBlob } from "./job-files.ts";
import { JobFrames } from "./job-frames.ts";
import { recordOf } from "./jobs.ts";
import { type ApiCall, flagQuery, jobParam, namesQuery, type Route, requireParam } from "./route.ts";

/** What a job leaves behind beside its record: its events and its files. */
export const jobDataRoutes: Route[] = [
  {
    method: "GET",
    path: "/v1/jobs/:job/events",
    access: "job",
    summary: "The job's events as server-sent events, from the cursor on, until its end",
    query: {
      after: {
        description: "The id of the last event that is known; Last-Event-ID wins over it.",
        schema: { type: "integer", minimum: 0 },
      },
      snapshot: { description: "Begin with a `job.snapshot`.", schema: { type: "boolean" } },
      events: {
        description: "Only these types, separated by commas; snapshots, resets and `job.end` come in any case.",
        schema: { type: "string" },
      },
      hold: {
        description: "A generator waits at its `yield` while this watcher is far behind, so that it misses no chunk.",
        schema: { type: "boolean" },
      },
    },
    headers: { "Last-Event-ID": "The id of the last event that is known." },
    answers: { 200: null, 204: null },
    handle: async (call) => {
      const { x, context, principal } = call;
      const job = jobParam(call);
      const after = cursorOf(call);
      const key = principal.kind === "key" ? context.auth.jobKey(job) : null;
      const params = {
        context,
        job,
        key,
        after,
        snapshot: flagQuery(call, "snapshot"),
        only: onlyOf(call),
        hold: flagQuery(call, "hold"),
      };
      await recordOf(call);
      context.streams.send(x, (wake) => new JobFrames(params, wake));
    },
  },
  {
    method: "GET",
    path: "/v1/jobs/:job/files/:sha256",
    access: "job",
    summary: "A file of the job's input or result",
    answers: { 200: null, 206: null },
    handle: async (call) => {
      const record = await recordOf(call);
      const sha256 = requireParam(call, "sha256");
      // The record names its files: a job's link opens no other's.
      const ref = /^[0-9a-f]{64}$/.test(sha256)
        ? ((await mediaIn(call, record.result, sha256)) ?? (await mediaIn(call, record.input, sha256)))
        : null;
      if (ref === null)
        throw new AthanorError("not_found", `${formatId("jobs", record.job)} has no file ${sha256.slice(0, 100)}`);
      await sendBlob(call, sha256, ref);
    },
  },
];

/** The types that `?events=` names; null: all. Throws bad_request. */
function onlyOf(call: ApiCall): ReadonlySet<JobEventType> | null {
  return namesQuery(call, "events", JOB_EVENT_TYPES);
}

function cursorOf(call: ApiCall): number | null {
  const after = call.query.get("after");
  // A browser reconnects to the URL that it was given, with the id that it has seen since. An empty one: it has seen none.
  const lastEventId = call.x.header("last-event-id") || null;
  const text = lastEventId ?? after;
  if (text === null) return null;
  const cursor = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(cursor)) {
    const name = lastEventId === null ? "after" : "Last-Event-ID";
    throw new AthanorError(
      "bad_request",
      `${name} is ${JSON.stringify(text.slice(0, 100))}; the id of an event, a whole number from 0, is needed`,
    );
  }
  return cursor;
}

export interface FileNames {
  file_name: string;
  content_type: string;
}

/** The names that go with a file in a stored value; null where the value does not hold it. */
async function mediaIn(call: ApiCall, payload: Payload | null, sha256: string): Promise<FileNames | null> {
  const text = payload === null ? "" : await call.context.jobs.view.payloadText(payload);
  if (!text.includes(`"${sha256}"`)) return null;
  let found: FileNames | null = null;
  JSON.parse(text, (_name, part: unknown) => {
    if (typeof part === "object" && part !== null && (part as { $media?: unknown }).$media === sha256)
      found ??= part as FileNames;
    return part;
  });
  return found;
}
