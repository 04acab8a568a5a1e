/**
 * Who may start a replica next: so many starts at once and no more, over all groups, in the order in which they asked. A start is mostly
 * the processor's work, so that many at once are each as late as the last would be in a row, and leave nothing to the calls that run.
 *
 *   (absent)  --ask()-->                            waiting     in line, once
 *   waiting   --next(), as turns are free-->        (absent)    who wants another start asks again, behind the others
 *
 * A turn:
 *   free      --begin(over)-->                      under way
 *   under way --`over` settles, or turnMs later-->  free        `freed` is called. What takes so long waits for something else than the
 *                                                               processor, and must not hold up what has nothing to do with it.
 */
export class StartTurns<T> {
  readonly #max: number;
  readonly #turnMs: number;
  readonly #freed: () => void;
  // A Set keeps the order of insertion and holds each once.
  readonly #waiting = new Set<T>();
  #underWay = 0;

  constructor(p: { max: number; turnMs: number; freed(): void }) {
    this.#max = p.max;
    this.#turnMs = p.turnMs;
    this.#freed = p.freed;
  }

  ask(who: T): void {
    this.#waiting.add(who);
  }

  /** Takes the one out of the line whose turn it is; null: no turn is free, or nobody waits. */
  next(): T | null {
    if (this.#underWay >= this.#max) return null;
    for (const who of this.#waiting) {
      this.#waiting.delete(who);
      return who;
    }
    return null;
  }

  /** What `next` gave has begun a start. */
  begin(over: Promise<unknown>): void {
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#underWay--;
      this.#freed();
    };
    const timer = setTimeout(end, this.#turnMs);
    this.#underWay++;
    over.then(end, end);
  }

  /** Sends those in line away; turns under way end by themselves. */
  clear(): void {
    this.#waiting.clear();
  }
}
