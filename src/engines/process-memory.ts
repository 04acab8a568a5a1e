import type { ReplicaChild } from "./process-child.ts";
import { family, type ProcessEntry, processTable, residentBytes } from "./process-table.ts";

/** The whole process table is read this seldom: it costs far more than the figures of the processes that are known. */
const TABLE_EVERY_TICKS = 5;

/**
 * Holds replicas to `memoryMb`: the resident memory of the process and all that it started, looked at every `pollMs`. Pages that
 * processes share are counted for each. What the table says beside that, each replica is told.
 *
 *   idle --start()--> watching --stop()--> idle
 */
export class MemoryWatch {
  readonly #pollMs: number;
  readonly #replicas: () => ReplicaChild[];
  readonly #onLook: () => void;
  #families = new Map<ReplicaChild, ProcessEntry[]>();
  #timer: NodeJS.Timeout | null = null;
  #tick = 0;
  #busy = false;

  constructor(p: { pollMs: number; replicas: () => ReplicaChild[]; onLook: () => void }) {
    this.#pollMs = p.pollMs;
    this.#replicas = p.replicas;
    this.#onLook = p.onLook;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), this.#pollMs).unref();
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
    this.#families.clear();
  }

  async #look(): Promise<void> {
    const limited = this.#replicas().filter((replica) => replica.memoryLimitBytes !== null && replica.pid !== null);
    if (limited.length === 0 || this.#busy) return;
    this.#busy = true;
    try {
      const unseen = limited.some((replica) => !this.#families.has(replica));
      if (unseen || this.#tick++ % TABLE_EVERY_TICKS === 0) this.#findFamilies(limited, await processTable());
      for (const replica of limited) this.#weigh(replica);
    } finally {
      this.#busy = false;
    }
  }

  #findFamilies(limited: ReplicaChild[], table: ProcessEntry[]): void {
    this.#families = new Map();
    for (const replica of limited) {
      const members = family(table, replica.pid as number);
      this.#families.set(replica, members);
      replica.sawFamily(members, table);
    }
    this.#onLook();
  }

  #weigh(replica: ReplicaChild): void {
    let bytes = 0;
    for (const member of this.#families.get(replica) ?? []) bytes += residentBytes(member);
    replica.memoryPeakBytes = Math.max(replica.memoryPeakBytes, bytes);
    if (replica.memoryLimitBytes !== null && bytes > replica.memoryLimitBytes) replica.killOverMemory();
  }
}
