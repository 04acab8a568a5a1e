import type { Group } from "./group.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type GroupPlan, plan, type ScalingPolicy } from "./plan.ts";
import { StartTurns } from "./start-turns.ts";

export interface PlanningOptions {
  policy: ScalingPolicy;
  lifecycle: Pick<Lifecycle, "start" | "drain">;
  maxConcurrentStarts: number;
  startTurnMs: number;
  now(): number;
}

/** Carries out what plan.ts says of a group: drains at once, starts when the group's turn has come, and looks again when the plan says so. */
export class Planning {
  readonly #options: PlanningOptions;
  readonly #turns: StartTurns<Group>;

  constructor(options: PlanningOptions) {
    this.#options = options;
    this.#turns = new StartTurns({
      max: options.maxConcurrentStarts,
      turnMs: options.startTurnMs,
      freed: () => this.startInTurn(),
    });
  }

  /** No start that waits for its turn is made. */
  clear(): void {
    this.#turns.clear();
  }

  /** Drains what the group has too much, and lines it up for what it has too little. */
  apply(group: Group): void {
    const { start, drain } = this.#look(group);
    if (start > 0) {
      group.askedAt ??= this.#options.now();
      this.#turns.ask(group);
    }
    for (const replica of group.replicas.filter(({ session }) => drain.includes(session.id)))
      this.#options.lifecycle.drain(replica);
  }

  /** Starts a replica of one group after the other, while turns are free. What a group wants is asked when its turn has come. */
  startInTurn(): void {
    for (let group = this.#turns.next(); group !== null; group = this.#turns.next()) {
      const start = group.forgotten ? 0 : this.#look(group).start;
      if (start > 1) this.#turns.ask(group);
      const replica = start === 0 ? null : this.#options.lifecycle.start(group);
      if (start <= 1) group.askedAt = null;
      if (replica === null) continue;
      this.#turns.begin(replica.session.ready);
      // Whether one more is to follow is asked anew from now on.
      group.memory = { ...group.memory, shortSince: null };
      this.#look(group);
    }
  }

  /** Asks the plan, and keeps what it says to the next one; what it says to do is left to do. */
  #look(group: Group): GroupPlan {
    const planned = plan(group.snapshot(), this.#options.policy, this.#options.now());
    group.memory = planned.memory;
    if (planned.wakeAt !== null) group.alarm.at(planned.wakeAt);
    return planned;
  }
}
