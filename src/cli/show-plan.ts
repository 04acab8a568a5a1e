import type { Plan, PlanChange } from "../plan/change.ts";
import { printable } from "./output.ts";

const MARKS: Record<PlanChange["change"], string> = { added: "+", removed: "-", changed: "~" };

/** The changes under the functions that they are of, those of the whole app first; what breaks says so. */
export function showPlan(plan: Plan, p: { app: string; live: string | null }): string {
  const against = p.live === null ? `${p.app} is not live yet` : `${p.app} is live as ${p.live}`;
  if (plan.changes.length === 0) return `${against}. Nothing changes.`;
  const blocks = [...Map.groupBy(plan.changes, (change) => change.function)]
    .sort(([a], [b]) => Number(a !== null) - Number(b !== null))
    .map(([name, changes]) => [name ?? "the app", ...changes.map(changeLine)].join("\n"));
  const { breaking } = plan;
  const end =
    breaking === 0
      ? "Nothing breaks what callers do today."
      : `${breaking} of ${plan.changes.length} changes may break callers.`;
  return `${against}. A deploy would change:\n\n${blocks.join("\n\n")}\n\n${end}`;
}

function changeLine({ change, area, text, breaking }: PlanChange): string {
  return `  ${MARKS[change]} ${area.padEnd(10)}  ${printable(text)}${breaking ? "  BREAKING" : ""}`;
}
