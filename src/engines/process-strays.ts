import { family, type ProcessEntry, sendSignal } from "./process-table.ts";

/**
 * Descendants of a replica's process that have left its group, so that a signal to the group does not reach them.
 *
 *   unseen --saw(): alive, in another group--> stray --no longer alive, or its pid is another's by now--> forgotten
 */
export class Strays {
  readonly #byPid = new Map<number, ProcessEntry>();

  /** Groups of their own that they made. */
  get groups(): Set<number> {
    return new Set(Array.from(this.#byPid.values(), (stray) => stray.group));
  }

  /** Remembers those of the family who are not in its group, so that they end with it; forgets who is gone. */
  saw(members: ProcessEntry[], group: number | null, table: readonly ProcessEntry[]): void {
    const alive = new Map(table.map((entry) => [entry.pid, entry.startedAt]));
    for (const stray of this.#byPid.values())
      if (alive.get(stray.pid) !== stray.startedAt) this.#byPid.delete(stray.pid);
    for (const member of members) if (member.group !== group) this.#byPid.set(member.pid, member);
  }

  kill(): void {
    for (const pid of this.#byPid.keys()) sendSignal(pid, "SIGKILL");
  }

  /** Those who are alive by this table, with their own families. */
  alive(table: readonly ProcessEntry[]): ProcessEntry[] {
    const found: ProcessEntry[] = [];
    for (const stray of this.#byPid.values()) {
      // A pid that was given to another process meanwhile is none of ours.
      const same = table.some((entry) => entry.pid === stray.pid && entry.startedAt === stray.startedAt);
      if (same) found.push(...family(table, stray.pid));
      else this.#byPid.delete(stray.pid);
    }
    return found;
  }
}
