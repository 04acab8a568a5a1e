import type { History } from "./history.ts";

/** What a run was made of, so that nobody takes an empty one for a good one. */
export function summary(history: History): string {
  const { calls, final, watches, records } = history;
  const acknowledged = calls.filter(({ answers }) => answers.length > 0).length;
  const again = final.filter(({ attempt }) => attempt > 1).length;
  const broken = watches.filter(({ connections }) => connections.length > 1).length;
  const resets = watches.filter(({ connections }) =>
    connections.some(({ events }) => events.some(({ event }) => event === "stream.reset")),
  ).length;
  const statuses = [...Map.groupBy(final, ({ status }) => status)].map(([status, { length }]) => `${length} ${status}`);
  return [
    `${calls.length} calls, ${acknowledged} acknowledged, ${final.length} jobs: ${statuses.toSorted().join(", ")}`,
    `${again} ran more than once, ${records.length} notes of handlers, ${history.observed.length} ends and ${history.cancels.length} cancels seen`,
    `${watches.length} watchers, ${broken} of them over several connections, ${resets} reset`,
  ].join("\n");
}
