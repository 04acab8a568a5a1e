import { isDeepStrictEqual } from "node:util";
import { httpFaceOf } from "../protocol/groups.ts";
import type { Json } from "../protocol/json.ts";
import type { AppSpec, FunctionSpec, ScheduleSpec } from "../protocol/spec.ts";
import type { PlanChange } from "./change.ts";
import { optionChanges } from "./options.ts";
import { inputChanges, outputChanges } from "./schemas.ts";

type Change = Omit<PlanChange, "function">;

/** What changes of each function, in the order of their names. */
export function functionChanges(before: AppSpec, after: AppSpec): PlanChange[] {
  const [old, next] = [byName(before), byName(after)];
  const names = [...new Set([...old.keys(), ...next.keys()])].toSorted();
  return names.flatMap((name) =>
    changesOf(before, after, old.get(name), next.get(name)).map((change) => ({ ...change, function: name })),
  );
}

function changesOf(
  before: AppSpec,
  after: AppSpec,
  old: FunctionSpec | undefined,
  next: FunctionSpec | undefined,
): Change[] {
  if (old === undefined)
    return next === undefined ? [] : [whole(next, "added"), ...scheduleChanges(null, next.schedule)];
  if (next === undefined) return [whole(old, "removed"), ...scheduleChanges(old.schedule, null)];
  const kind: Change[] =
    old.kind === next.kind
      ? []
      : [
          {
            area: "function",
            change: "changed",
            of: "kind",
            breaking: true,
            text: `is ${next.kind} now, and was ${old.kind}`,
          },
        ];
  const sides = [
    { spec: before, fn: old },
    { spec: after, fn: next },
  ] as const;
  return [
    ...kind,
    ...routeChanges(old, next),
    ...callChanges(old, next),
    ...inputChanges(...sides),
    ...outputChanges(...sides),
    ...optionChanges(old, next),
    ...scheduleChanges(old.schedule, next.schedule),
  ];
}

function whole(fn: FunctionSpec, change: "added" | "removed"): Change {
  const face = faceText(fn);
  const text = change === "added" ? `is new${face}` : `is no more${face}`;
  return { area: "function", change, of: "", breaking: change === "removed", text };
}

function faceText(fn: FunctionSpec): string {
  if (fn.endpoint !== null) return `: ${fn.endpoint.methods.join(", ")} ${fn.endpoint.path}`;
  return fn.service === null ? "" : `: ${fn.kind} at ${fn.service.path}`;
}

function routeChanges(old: FunctionSpec, next: FunctionSpec): Change[] {
  const [a, b] = [pathOf(old), pathOf(next)];
  if (a !== b) {
    const said = (path: string | null): string => path ?? "no path";
    const text = `is at ${said(b)} now, and was at ${said(a)}`;
    return [{ area: "route", change: "changed", of: a ?? b ?? "", breaking: a !== null, text, before: a, after: b }];
  }
  const [had, has] = [old.endpoint?.methods ?? [], next.endpoint?.methods ?? []];
  return [
    ...had
      .filter((method) => !has.includes(method))
      .map(
        (method): Change => ({
          area: "route",
          change: "removed",
          of: `${method} ${a}`,
          breaking: true,
          text: `${method} ${a} is no more`,
        }),
      ),
    ...has
      .filter((method) => !had.includes(method))
      .map(
        (method): Change => ({
          area: "route",
          change: "added",
          of: `${method} ${a}`,
          breaking: false,
          text: `${method} ${a} is new`,
        }),
      ),
  ];
}

/** Who may call, and what comes back at once. */
function callChanges(old: FunctionSpec, next: FunctionSpec): Change[] {
  const changes: Change[] = [];
  const change = (of: string, breaking: boolean, text: string, before: Json, after: Json): void =>
    void changes.push({ area: "option", change: "changed", of, breaking, text, before, after });
  const [had, has] = [httpFaceOf(old), httpFaceOf(next)];
  if (had !== null && has !== null && had.access !== has.access) {
    const closes = has.access === "token";
    change("access", closes, closes ? "needs the server's token now" : "is public now", had.access, has.access);
  }
  if ((old.queue === null) !== (next.queue === null) && old.kind === next.kind) {
    const queued = next.queue !== null;
    const text = queued
      ? "is queued now: calls answer 202 with a job"
      : "is synchronous now: calls answer 200 with the result";
    change("queue", true, text, !queued, queued);
  }
  if (!old.deprecated && next.deprecated) change("deprecated", false, "is deprecated now", false, true);
  return changes;
}

function scheduleChanges(old: ScheduleSpec | null, next: ScheduleSpec | null): Change[] {
  if (isDeepStrictEqual(old, next)) return [];
  const change = old === null ? "added" : next === null ? "removed" : "changed";
  const texts = {
    added: `runs ${scheduleText(next)}`,
    removed: `no longer runs ${scheduleText(old)}`,
    changed: `runs ${scheduleText(next)} now, and ran ${scheduleText(old)}`,
  };
  return [{ area: "schedule", change, of: "", breaking: false, text: texts[change] }];
}

function scheduleText(schedule: ScheduleSpec | null): string {
  if (schedule === null) return "never";
  const missed = schedule.missed === "skip" ? ", missed ticks skipped" : "";
  return (
    (schedule.type === "cron" ? `at "${schedule.cron}" in ${schedule.timeZone}` : `every ${schedule.everyS} s`) + missed
  );
}

const pathOf = (fn: FunctionSpec): string | null => (fn.endpoint ?? fn.service)?.path ?? null;

const byName = (spec: AppSpec): Map<string, FunctionSpec> => new Map(spec.functions.map((fn) => [fn.name, fn]));
