import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AthanorError } from "../../protocol/errors.ts";
import type { JobEvent, NewJobEvent } from "../../protocol/event.ts";
import type { EventBatch } from "../store/store.ts";
import { EventWriter } from "./writer.ts";

const WINDOW = { events: 100, bytes: 1_000_000 };
const chunk = (index: number): NewJobEvent => ({ event: "job.chunk", data: { index, value: index } });

/** A store whose disk is full while `full` says so. */
class Disk {
  full = false;
  readonly stored: JobEvent[] = [];

  async eventAppend({ batches }: { batches: EventBatch[] }): Promise<JobEvent[][]> {
    if (this.full) throw new AthanorError("storage_full", "There is no room.");
    return batches.map(({ events }) => {
      const numbered = events.map((event, index) => ({ id: this.stored.length + index + 1, ...event }));
      this.stored.push(...numbered);
      return numbered;
    });
  }

  get indexes(): unknown[] {
    return this.stored.map((event) => (event.event === "job.chunk" ? event.data.index : event.event));
  }
}

const writerTo = (disk: Disk): EventWriter =>
  new EventWriter({ store: disk, log: { warn() {} }, now: () => 0, onStored() {} });

describe("the writer of events", () => {
  it("loses nothing to a full disk: flush says so, and what waited is stored in its order", async () => {
    const disk = new Disk();
    const writer = writerTo(disk);
    writer.append({ job: 1, fence: 1, events: [chunk(0)] }, WINDOW);
    await writer.flush(1);
    disk.full = true;
    writer.append({ job: 1, fence: 1, events: [chunk(1), chunk(2)] }, WINDOW);
    await assert.rejects(writer.flush(1), { code: "storage_full" });
    writer.append({ job: 1, fence: 1, events: [chunk(3)] }, WINDOW);
    await assert.rejects(writer.flush(1), { code: "storage_full" });
    disk.full = false;
    await writer.flush(1);
    assert.deepEqual(disk.indexes, [0, 1, 2, 3]);
    await writer.stop();
  });

  it("tries again by itself", async () => {
    const disk = new Disk();
    const writer = writerTo(disk);
    disk.full = true;
    writer.append({ job: 1, fence: 1, events: [chunk(0)] }, WINDOW);
    await assert.rejects(writer.flush(1), { code: "storage_full" });
    disk.full = false;
    await writer.stop();
    assert.deepEqual(disk.indexes, [0]);
  });

  it("does not say that all is stored while a write that will fail is under way", async () => {
    const disk = new Disk();
    const writer = writerTo(disk);
    disk.full = true;
    writer.append({ job: 1, fence: 1, events: [chunk(0)] }, WINDOW);
    // The write of its own accord has begun.
    await new Promise<void>((resolve) => setImmediate(resolve));
    await assert.rejects(writer.flush(1), { code: "storage_full" });
    disk.full = false;
    await writer.flush(1);
    assert.deepEqual(disk.indexes, [0]);
    await writer.stop();
  });
});
