/** The longest delay that a timer of Node can have; with a longer one it would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * One timer for many reasons to look again.
 *
 *   off --at(time)--> set   --the time comes-->   off, and `ring` is called: it looks, and says when to look next
 *   set --at(time)--> set   only an earlier time moves it, so what is asked for again and again sets no timers
 *   set --clear()-->  off
 *
 * It may ring early (a delay has a maximum), never late.
 */
export class Alarm {
  readonly #now: () => number;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;
  #time: number | null = null;

  constructor(p: { now(): number; ring(): void }) {
    this.#now = p.now;
    this.#ring = p.ring;
  }

  /** Rings at that time (milliseconds since 1970) or before; at once where it is past. */
  at(time: number): void {
    if (this.#time !== null && this.#time <= time) return;
    this.clear();
    this.#time = time;
    this.#timer = setTimeout(
      () => {
        this.clear();
        this.#ring();
      },
      Math.min(Math.max(0, time - this.#now()), MAX_TIMER_MS),
    );
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#time = null;
  }
}
