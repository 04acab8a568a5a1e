import type { History, Violation } from "../history.ts";

/** Nothing outlives its server, servers that were asked to stop do so in order, and no answer is without its reason. */
export function leftovers(history: History): Violation[] {
  const all = (rule: string, found: string[]): Violation[] => found.map((what) => ({ rule, job: null, what }));
  return [
    ...all(
      "no process outlives its server",
      history.orphans.map(({ pid, command }) => `process ${pid}: ${command}`),
    ),
    ...all(
      "a server stops in order",
      history.exits.filter((code) => code !== 0).map((code) => `ended with code ${code}`),
    ),
    ...all("the store is sound", history.storeFaults),
    ...all(
      "every refusal has its reason",
      history.refusals.map(({ asked, answer }) => `${asked} was answered with ${answer}`),
    ),
  ];
}
