/**
 * One look at a time, for many reasons to look again.
 *
 *   idle    --now()--> looking
 *   looking --now()--> looking     and once more behind it, however many ask meanwhile
 *   looking --over-->  idle, or looking again
 */
export class Looking {
  readonly #look: () => Promise<void>;
  #underWay: Promise<void> | null = null;
  #again = false;

  /** `look` never rejects. */
  constructor(look: () => Promise<void>) {
    this.#look = look;
  }

  /** Resolves when the look that is under way, or begins now, is over. */
  now(): Promise<void> {
    if (this.#underWay !== null) {
      this.#again = true;
      return this.#underWay;
    }
    this.#again = false;
    this.#underWay = this.#look().finally(() => {
      this.#underWay = null;
      if (this.#again) void this.now();
    });
    return this.#underWay;
  }

  /** Resolves when the look under way is over. */
  async over(): Promise<void> {
    await this.#underWay;
  }
}
