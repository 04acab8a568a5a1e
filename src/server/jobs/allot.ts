/**
 * Shares out `due` jobs over replicas, each next one to the replica with the fewest calls. Returns how many each one gets, in the order
 * of `loads`; none goes above `concurrency`.
 */
export function allot(loads: number[], concurrency: number, due: number): number[] {
  const first = loads[0];
  if (loads.length === 1 && first !== undefined) return [Math.max(0, Math.min(due, concurrency - first))];
  const given = loads.map(() => 0);
  const levels = [...loads];
  for (let left = due; left > 0; left--) {
    const lowest = Math.min(...levels);
    if (lowest >= concurrency) break;
    const index = levels.indexOf(lowest);
    levels[index] = lowest + 1;
    given[index] = (given[index] ?? 0) + 1;
  }
  return given;
}
