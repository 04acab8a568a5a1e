import type { Group, Lease, Replica } from "./group.ts";

/** What hears that a group's jobs may find room. */
export type RoomListener = (group: Group) => void;

export interface PlacesListener {
  /** The replica has ended its first call: its code works. */
  proven(replica: Replica): void;
  /** A ready replica has no call any more. */
  idle(replica: Replica): void;
}

/** Places on ready replicas: taken for calls, given back when these are over, then offered to whoever waits, requests before jobs. */
export class Places {
  readonly #listener: PlacesListener;
  #onRoom: RoomListener = () => {};

  constructor(listener: PlacesListener) {
    this.#listener = listener;
  }

  /** The one listener that is told when a replica with room may take jobs of a group that has due ones. */
  onRoom(listener: RoomListener): void {
    this.#onRoom = listener;
  }

  /** For a request; null where no replica has room. */
  lease(group: Group): Lease | null {
    const replica = group.leastLoaded();
    return replica === null ? null : this.#lease(replica);
  }

  /** For jobs. The caller has seen that there is room. */
  take(replica: Replica, places: number): void {
    replica.load += places;
    replica.idleSince = null;
    replica.used = true;
    replica.group.placesTaken(places);
  }

  /** Calls are over. */
  give(replica: Replica, places: number): void {
    // Under one that is gone they were cut off.
    if (!replica.proven && replica.session.state !== "ended") this.#listener.proven(replica);
    this.giveUnused(replica, places);
  }

  /** Places that were taken for calls, and then had none. */
  giveUnused(replica: Replica, places: number): void {
    if (places === 0) return;
    replica.load -= places;
    const { group } = replica;
    group.placesTaken(-places);
    if (group.held.size > 0) this.#serveHeld(group);
    if (group.dueJobs > 0 && replica.load < group.concurrency) this.#onRoom(group);
    if (replica.load === 0 && replica.state === "ready") this.#listener.idle(replica);
  }

  /** A replica of the group takes calls that did not before. */
  offer(group: Group): void {
    this.#serveHeld(group);
    if (group.dueJobs > 0) this.#onRoom(group);
  }

  #serveHeld(group: Group): void {
    while (group.held.size > 0) {
      const replica = group.leastLoaded();
      if (replica === null) return;
      group.held.serveFirst(() => this.#lease(replica));
    }
  }

  #lease(replica: Replica): Lease {
    this.take(replica, 1);
    let held = true;
    return {
      session: replica.session,
      ending: replica.group.ending.signal,
      release: () => {
        if (held) this.give(replica, 1);
        held = false;
      },
    };
  }
}
