/**
 * This server among those of its store: its lease on the jobs that it runs, and its part in the lead.
 *
 *   stopped --start(): the first beat-->                                    held
 *   held    --a beat, every renewMs-->                                      held
 *   held    --no beat has been stored for leaseMs, or a beat says so-->     lost, and `lost` is called: its jobs may be others' by now
 *   lost    --what ran is gone, and a beat under a new name-->              held
 *   held | lost --stop()-->                                                 stopped; what it held may be taken at once
 *
 *   follower --a beat says that it leads--> leader --a beat says not, or the lease is lost--> follower
 *
 * After a loss the server goes on under a new name, and gives the old one up. So whatever the store holds under the old name is taken up like that
 * of any lost server: also a job that was claimed while the database went away, of which this server never heard.
 *
 * Time is measured by a clock that nobody sets, from before each beat was sent, so the server never believes in its lease longer than the
 * others do, whether its process was stopped (SIGSTOP), its machine slept or its database was away. What the lease guards is safe without that
 * belief too, as a fence stands before each write; the lease saves work that would be for nothing, and lets others take up what is left.
 *
 * The server of a store that is not shared has nobody to agree with: it always holds and always leads, and nothing is beaten.
 */
import { randomUUID } from "node:crypto";
import { SERVER_DEFAULTS } from "../protocol/defaults.ts";
import type { Log } from "./log.ts";
import type { Store } from "./store/store.ts";

/** Beats without an answer after which the store counts as away. */
const SILENT_BEATS = 3;

export interface LeaseOptions {
  store: Pick<Store, "shared" | "clock" | "serverBeat" | "serverLeave">;
  log: Pick<Log, "info" | "warn">;
  /** The lease is lost: abandon what runs under it. Resolves once that is gone. */
  lost(): Promise<void>;
  /** Called after each beat as the leader: what one server does for all. */
  led(): void;
  /** Called when this server takes the lead or no longer has it. */
  leadChanged?(leads: boolean): void;
  /** Default SERVER_DEFAULTS.leaseMs. */
  leaseMs?: number;
  /** Default SERVER_DEFAULTS.leaseRenewMs. */
  renewMs?: number;
  /** Milliseconds of a clock that nobody sets; default performance.now. */
  monotonic?(): number;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #monotonic: () => number;
  #server: string = randomUUID();
  /** The name under which the lease was lost, until it is given up, and what ran under it. */
  #former: { server: string; gone: Promise<void> } | null = null;
  /** By the monotonic clock. */
  #heldUntil = Number.NEGATIVE_INFINITY;
  #leader = false;
  #servers = 1;
  #failing = false;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #running = false;
  #beat: Promise<void> = Promise.resolve();
  #beatTimer: NodeJS.Timeout | null = null;
  #expiryTimer: NodeJS.Timeout | null = null;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? SERVER_DEFAULTS.leaseMs;
    this.#renewMs = options.renewMs ?? SERVER_DEFAULTS.leaseRenewMs;
    this.#monotonic = options.monotonic ?? (() => performance.now());
  }

  /** Owner of the jobs that this server claims now. New at each start, and after each loss. */
  get server(): string {
    return this.#server;
  }

  /** Asked before work is taken: true while no other server may take this one's jobs. */
  get held(): boolean {
    return this.#running && (!this.#options.store.shared || this.#monotonic() < this.#heldUntil);
  }

  get leads(): boolean {
    return this.#leader && this.held;
  }

  /** Servers of the store at the last beat, this one included. */
  get servers(): number {
    return this.#servers;
  }

  /** The store can be reached: the last beat was stored, and not long ago, as a beat may wait for a store that is away. */
  get reaches(): boolean {
    if (this.#failing) return false;
    return !this.#options.store.shared || this.#monotonic() < this.#answeredAt + SILENT_BEATS * this.#renewMs;
  }

  /** Rejects where the first beat can't be stored. Repeatable. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    if (this.#options.store.shared) {
      try {
        await this.#beatOnce();
      } catch (error) {
        this.#running = false;
        throw error;
      }
      this.#beatIn(this.#renewMs);
    } else this.#setLeader(true);
  }

  /** Call when nothing runs under it any more. Repeatable. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    if (this.#beatTimer !== null) clearTimeout(this.#beatTimer);
    if (this.#expiryTimer !== null) clearTimeout(this.#expiryTimer);
    this.#setLeader(false);
    if (!this.#options.store.shared) return;
    await this.#beat;
    this.#heldUntil = Number.NEGATIVE_INFINITY;
    try {
      await this.#giveUpFormer();
      await this.#options.store.serverLeave({ server: this.server, now: this.#options.store.clock() });
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        "the other servers could not be told that this one stops; its lease runs out",
      );
    }
  }

  #beatIn(ms: number): void {
    if (!this.#running) return;
    this.#beatTimer = setTimeout(() => {
      const sent = this.#monotonic();
      this.#beat = this.#beatOnce()
        .catch((error: unknown) => this.#failed(error))
        // A beat that took long, as one that waited for its database does, is followed by the next soon.
        .then(() => this.#beatIn(Math.max(this.#renewMs / 4, this.#renewMs - (this.#monotonic() - sent))));
    }, ms);
  }

  async #beatOnce(): Promise<void> {
    await this.#giveUpFormer();
    const { store, log } = this.#options;
    const server = this.#server;
    const sent = this.#monotonic();
    const beat = await store.serverBeat({ server, leaseMs: this.#leaseMs, now: store.clock() });
    if (!this.#running) return;
    if (this.#failing) log.info({}, "the store is reached again");
    this.#failing = false;
    this.#answeredAt = this.#monotonic();
    this.#expire();
    if (!beat.held && this.#hasLease) this.#lose("it had run out when it was renewed");
    // The answer is for the name that was lost, or it came so late that this lease, too, is over.
    const until = sent + this.#leaseMs;
    if (server !== this.#server || this.#monotonic() >= until) return;
    this.#heldUntil = until;
    this.#watchExpiry();
    this.#servers = beat.servers;
    this.#setLeader(beat.leader);
    if (beat.leader) this.#options.led();
  }

  /** The old name's lease may have been renewed by a beat whose answer did not come. */
  async #giveUpFormer(): Promise<void> {
    const former = this.#former;
    if (former === null) return;
    await former.gone;
    await this.#options.store.serverLeave({ server: former.server, now: this.#options.store.clock() });
    if (this.#former === former) this.#former = null;
  }

  #failed(error: unknown): void {
    if (!this.#running) return;
    if (!this.#failing) this.#options.log.warn({ err: error }, "the server's lease could not be renewed; tried again");
    this.#failing = true;
    this.#expire();
  }

  #watchExpiry(): void {
    if (this.#expiryTimer !== null) clearTimeout(this.#expiryTimer);
    this.#expiryTimer = setTimeout(() => this.#expire(), Math.max(0, Math.ceil(this.#heldUntil - this.#monotonic())));
  }

  get #hasLease(): boolean {
    return this.#heldUntil !== Number.NEGATIVE_INFINITY;
  }

  #expire(): void {
    if (this.#running && this.#hasLease && this.#monotonic() >= this.#heldUntil)
      this.#lose(`no beat was stored for ${this.#leaseMs} ms`);
  }

  #lose(why: string): void {
    this.#heldUntil = Number.NEGATIVE_INFINITY;
    this.#options.log.warn({ why }, "the lease on running jobs is lost: they are abandoned here, and run again");
    this.#setLeader(false);
    this.#former = { server: this.#server, gone: this.#options.lost() };
    this.#server = randomUUID();
  }

  #setLeader(leader: boolean): void {
    if (this.#leader === leader) return;
    this.#leader = leader;
    if (this.#options.store.shared)
      this.#options.log.info({ server: this.server }, leader ? "this server leads" : "this server leads no more");
    this.#options.leadChanged?.(leader);
  }
}
