import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ServerSnapshot, ServerWatchEvent } from "../../protocol/server-event.ts";
import { ServerEvents } from "./server-events.ts";
import type { ServerWatch, ServerWatchParams } from "./server-watch.ts";

const EMPTY: ServerSnapshot = { at: "", functions: [], replicas: [], deployments: [] };

class Given {
  readonly events: ServerEvents;
  woken = 0;

  constructor(window = 4) {
    this.events = new ServerEvents({ window, epoch: "e1", now: () => 0 });
  }

  job(job: number, app = "demo"): void {
    this.events.job({ job, app, function: "f", status: "queued", statusSince: 0 });
  }

  watch(p: Partial<ServerWatchParams> = {}): ServerWatch {
    const params = { after: null, only: null, app: null, snapshot: async () => EMPTY, ...p };
    return this.events.watch(params, () => this.woken++);
  }
}

/** All that there is to take now. */
async function taken(watch: ServerWatch): Promise<ServerWatchEvent[]> {
  const events: ServerWatchEvent[] = [];
  for (;;) {
    const event = watch.take();
    if (event !== null) events.push(event);
    else if (!watch.loading) return events;
    else await new Promise(setImmediate);
  }
}

const show = (events: ServerWatchEvent[]): string[] => events.map(({ id, event }) => `${id} ${event}`);

describe("the server's events", () => {
  it("begin with a snapshot and go on live, waking the watcher once for all of a turn", async () => {
    const given = new Given();
    given.job(1);
    const watch = given.watch();
    assert.deepEqual(show(await taken(watch)), ["e1-1 server.snapshot"]);
    given.woken = 0;
    given.job(2);
    given.events.deployment({ number: 3, app: "demo" }, "live");
    given.events.replica({ replicaId: "replicas:1", app: "demo", deployment: 3, state: "ended", reason: "because" });
    await new Promise(setImmediate);
    assert.equal(given.woken, 1);
    const at = "1970-01-01T00:00:00.000Z";
    assert.deepEqual(await taken(watch), [
      { id: "e1-2", event: "job", data: { job_id: "jobs:2", app: "demo", function: "f", status: "queued", at } },
      { id: "e1-3", event: "deployment", data: { deployment_id: "deployments:3", app: "demo", status: "live", at } },
      {
        id: "e1-4",
        event: "replica",
        data: {
          replica_id: "replicas:1",
          app: "demo",
          deployment_id: "deployments:3",
          status: "ended",
          reason: "because",
          at,
        },
      },
    ]);
  });

  it("resume after every id that is kept, and are reset with a snapshot after every other", async () => {
    const given = new Given(4);
    for (let job = 1; job <= 11; job++) given.job(job);
    const { earliest, latest } = given.events;
    assert.equal(latest, 11);
    assert.ok(latest - earliest + 1 >= 4);
    for (let number = 0; number <= latest; number++) {
      const seen = show(await taken(given.watch({ after: `e1-${number}` })));
      const rest: string[] = Array.from({ length: latest - number }, (_, index) => `e1-${number + 1 + index} job`);
      const isKept = number >= earliest - 1;
      assert.deepEqual(seen, isKept ? rest : ["e1-11 stream.reset", "e1-11 server.snapshot"], `after ${number}`);
    }
    for (const after of ["e0-11", "e1-12", "e1-99"]) {
      const [reset, ...others]: ServerWatchEvent[] = await taken(given.watch({ after }));
      assert.deepEqual(reset, {
        id: "e1-11",
        event: "stream.reset",
        data: { requested: after, earliest: `e1-${earliest}`, latest: "e1-11" },
      });
      assert.deepEqual(show(others), ["e1-11 server.snapshot"]);
    }
  });

  it("move a slow watcher on with a reset, and keep no more than twice their window for it", async () => {
    const given = new Given(4);
    const slow = given.watch();
    await taken(slow);
    for (let job = 1; job <= 1000; job++) given.job(job);
    assert.ok(given.events.latest - given.events.earliest < 8);
    assert.deepEqual(show(await taken(slow)), ["e1-1000 stream.reset", "e1-1000 server.snapshot"]);
    given.job(1001);
    assert.deepEqual(show(await taken(slow)), ["e1-1001 job"]);
  });

  it("are filtered by type and app, and the cursor moves past what is left out", async () => {
    const given = new Given(100);
    const watch = given.watch({ only: new Set(["job"]), app: "mine" });
    await taken(watch);
    given.job(1, "other");
    given.job(2, "mine");
    given.events.deployment({ number: 1, app: "mine" }, "live");
    assert.deepEqual(show(await taken(watch)), ["e1-2 job"]);
    assert.equal(watch.cursor, "e1-3");
  });

  it("show no gap, whatever is added and taken in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.oneof(fc.constant("add" as const), fc.constant("take" as const), fc.constant("again" as const))),
        async (window, steps) => {
          const given = new Given(window);
          let watch = given.watch();
          let last: string | null = null;
          const look = async (): Promise<void> => {
            for (const event of await taken(watch)) {
              if (event.event === "job")
                assert.equal(event.id, given.events.idOf((given.events.numberOf(last ?? "") ?? Number.NaN) + 1));
              last = event.id;
            }
          };
          await look();
          for (const [index, step] of steps.entries()) {
            if (step === "add") given.job(index);
            if (step === "take") await look();
            if (step === "again") {
              watch.close();
              watch = given.watch({ after: last });
            }
          }
          await look();
          assert.equal(last, given.events.idOf(given.events.latest));
          watch.close();
          assert.equal(given.events.watchers, 0);
        },
      ),
    );
  });

  it("tell of other servers' jobs", async () => {
    const given = new Given();
    const watch = given.watch({ after: "e1-0" });
    given.events.signalled({ type: "job", job: 7, app: "demo", function: "f", status: "running" });
    given.events.signalled({ type: "deployments" });
    assert.deepEqual(show(await taken(watch)), ["e1-1 job"]);
  });

  it("end a watcher whose snapshot fails, with the error", async () => {
    const given = new Given();
    const watch = given.watch({ snapshot: () => Promise.reject(new Error("no")) });
    assert.deepEqual(await taken(watch), []);
    assert.ok(watch.over);
    assert.match(String(watch.error), /no/);
    assert.equal(given.events.watchers, 0);
  });
});
