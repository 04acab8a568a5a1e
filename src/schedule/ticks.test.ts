import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ScheduleSpec } from "../protocol/spec.ts";
import { nextTick, scheduleFault } from "./ticks.ts";

const cron = (expression: string, timeZone = "UTC"): ScheduleSpec => ({
  type: "cron",
  cron: expression,
  timeZone,
  missed: "run_once",
});
const every = (everyS: number): ScheduleSpec => ({ type: "every", everyS, missed: "run_once" });

/** The next ticks after a time, by the clock on the wall of the zone, with its offset. */
function ticks(spec: ScheduleSpec, after: string, count: number): string[] {
  const timeZone = spec.type === "cron" ? spec.timeZone : "UTC";
  const found: string[] = [];
  for (let at = Date.parse(after); found.length < count; ) {
    at = nextTick(spec, { after: at, phase: 0 });
    found.push(onTheWall(at, timeZone));
  }
  return found;
}

function onTheWall(at: number, timeZone: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    dateStyle: "short",
    timeStyle: "medium",
    hourCycle: "h23",
  }).format(at);
  const offset = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" })
    .formatToParts(at)
    .find(({ type }) => type === "timeZoneName")?.value;
  const [date = "", time = ""] = parts.split(", ");
  return `${date.split("/").reverse().join("-")} ${time} ${offset?.replace("GMT", "") || "+00:00"}`;
}

describe("cron ticks where clocks go forward", () => {
  it("come at the end of the gap, where the time of day is in it", () => {
    assert.deepEqual(ticks(cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00Z", 2), [
      "2026-03-29 03:00:00 +02:00",
      "2026-03-30 02:30:00 +02:00",
    ]);
    assert.deepEqual(ticks(cron("30 2 * * *", "America/New_York"), "2026-03-07T12:00Z", 2), [
      "2026-03-08 03:00:00 -04:00",
      "2026-03-09 02:30:00 -04:00",
    ]);
    assert.deepEqual(ticks(cron("30 2 * * *", "Australia/Sydney"), "2026-10-03T12:00Z", 2), [
      "2026-10-04 03:00:00 +11:00",
      "2026-10-05 02:30:00 +11:00",
    ]);
  });

  it("come at the end of a gap of half an hour", () => {
    assert.deepEqual(ticks(cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T12:00Z", 2), [
      "2026-10-04 02:30:00 +11:00",
      "2026-10-05 02:15:00 +11:00",
    ]);
  });

  it("come at the end of a gap that swallows midnight", () => {
    assert.deepEqual(ticks(cron("0 0 * * *", "Africa/Cairo"), "2026-04-23T12:00Z", 2), [
      "2026-04-24 01:00:00 +03:00",
      "2026-04-25 00:00:00 +03:00",
    ]);
  });

  it("come once where several times of day are in the gap", () => {
    assert.deepEqual(ticks(cron("0,30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00Z", 3), [
      "2026-03-29 03:00:00 +02:00",
      "2026-03-30 02:00:00 +02:00",
      "2026-03-30 02:30:00 +02:00",
    ]);
  });

  it("go on by the clock on the wall, where they repeat through the day", () => {
    assert.deepEqual(ticks(cron("*/30 * * * *", "Europe/Berlin"), "2026-03-29T00:15Z", 3), [
      "2026-03-29 01:30:00 +01:00",
      "2026-03-29 03:00:00 +02:00",
      "2026-03-29 03:30:00 +02:00",
    ]);
  });
});

describe("cron ticks where clocks go back", () => {
  it("come once, the first time, where the time of day comes twice", () => {
    assert.deepEqual(ticks(cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00Z", 2), [
      "2026-10-25 02:30:00 +02:00",
      "2026-10-26 02:30:00 +01:00",
    ]);
    assert.deepEqual(ticks(cron("30 1 * * *", "America/New_York"), "2026-10-31T12:00Z", 2), [
      "2026-11-01 01:30:00 -04:00",
      "2026-11-02 01:30:00 -05:00",
    ]);
    assert.deepEqual(ticks(cron("30 2 * * *", "Australia/Sydney"), "2026-04-04T12:00Z", 2), [
      "2026-04-05 02:30:00 +11:00",
      "2026-04-06 02:30:00 +10:00",
    ]);
  });

  it("come once where half an hour is repeated", () => {
    assert.deepEqual(ticks(cron("45 1 * * *", "Australia/Lord_Howe"), "2026-04-04T12:00Z", 2), [
      "2026-04-05 01:45:00 +11:00",
      "2026-04-06 01:45:00 +10:30",
    ]);
  });

  it("go on through the repeated hour, where they repeat through the day", () => {
    assert.deepEqual(ticks(cron("*/30 * * * *", "Europe/Berlin"), "2026-10-25T00:00Z", 4), [
      "2026-10-25 02:30:00 +02:00",
      "2026-10-25 02:00:00 +01:00",
      "2026-10-25 02:30:00 +01:00",
      "2026-10-25 03:00:00 +01:00",
    ]);
    assert.deepEqual(ticks(cron("*/15 * * * *", "Australia/Lord_Howe"), "2026-04-04T14:30Z", 4), [
      "2026-04-05 01:45:00 +11:00",
      "2026-04-05 01:30:00 +10:30",
      "2026-04-05 01:45:00 +10:30",
      "2026-04-05 02:00:00 +10:30",
    ]);
  });

  it("come after any time of the repeated hour, the second pass included", () => {
    const daily = cron("30 2 * * *", "Europe/Berlin");
    assert.deepEqual(ticks(daily, "2026-10-25T01:15Z", 1), ["2026-10-26 02:30:00 +01:00"]);
  });
});

describe("cron ticks", () => {
  it("understand seconds, names, steps, ranges, last days and nicknames", () => {
    const after = "2026-11-24T10:20:30Z";
    const first = (expression: string): string | undefined => ticks(cron(expression), after, 1)[0];
    assert.equal(first("*/20 * * * * *"), "2026-11-24 10:20:40 +00:00");
    assert.equal(first("0 9 * * MON-FRI"), "2026-11-25 09:00:00 +00:00");
    assert.equal(first("0 9 * jan,FEB sun"), "2027-01-03 09:00:00 +00:00");
    assert.equal(first("0 0 * * 7"), "2026-11-29 00:00:00 +00:00");
    assert.equal(first("0 8-18/5 * * *"), "2026-11-24 13:00:00 +00:00");
    assert.equal(first("0 0 L * *"), "2026-11-30 00:00:00 +00:00");
    assert.equal(first("0 0 29 2 *"), "2028-02-29 00:00:00 +00:00");
    assert.equal(first("0 0 * * FRI#L"), "2026-11-27 00:00:00 +00:00");
    assert.equal(first("0 0 * * MON#1"), "2026-12-07 00:00:00 +00:00");
    assert.equal(first("0 0 15W * *"), "2026-12-15 00:00:00 +00:00");
    assert.equal(first("0 0 15W 5 *"), "2027-05-14 00:00:00 +00:00");
    assert.equal(first("0 0 1 * +MON"), "2027-02-01 00:00:00 +00:00");
    assert.equal(first("@weekly"), "2026-11-29 00:00:00 +00:00");
    assert.equal(first("@yearly"), "2027-01-01 00:00:00 +00:00");
    assert.equal(first("@hourly"), "2026-11-24 11:00:00 +00:00");
    assert.equal(first("@monthly"), "2026-12-01 00:00:00 +00:00");
  });

  it("come where either the day of the month or the weekday fits, as in cron", () => {
    assert.deepEqual(ticks(cron("0 0 1 * MON"), "2026-11-24T00:00Z", 3), [
      "2026-11-30 00:00:00 +00:00",
      "2026-12-01 00:00:00 +00:00",
      "2026-12-07 00:00:00 +00:00",
    ]);
  });

  it("always come later, and daily ones once a day, in any zone, over years of changes", () => {
    const zones = Intl.supportedValuesOf("timeZone");
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 59 }),
        fc.integer({ min: Date.UTC(2012, 0), max: Date.UTC(2030, 0) }),
        (timeZone, hour, minute, start) => {
          const daily = cron(`${minute} ${hour} * * *`, timeZone);
          const days: string[] = [];
          for (let at = start, day = 0; day < 20; day++) {
            const next = nextTick(daily, { after: at, phase: 0 });
            assert.ok(next > at, `${new Date(next).toISOString()} is not after ${new Date(at).toISOString()}`);
            at = next;
            days.push(onTheWall(at, timeZone).slice(0, 10));
          }
          const date = (text = ""): number => Date.parse(`${text}T00:00Z`) / 86_400_000;
          for (const [index, day] of days.entries()) if (index > 0) assert.equal(date(day), date(days[index - 1]) + 1);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("everyS", () => {
  it("ticks in whole periods from its phase, however late it is asked", () => {
    const phase = Date.parse("2026-11-24T00:00:07.500Z");
    const at = (after: number): number => nextTick(every(90), { after, phase }) - phase;
    assert.equal(at(phase - 1), 0);
    assert.equal(at(phase), 90_000);
    assert.equal(at(phase + 89_999), 90_000);
    assert.equal(at(phase + 90_000), 180_000);
    assert.equal(at(phase + 1_000_000 * 90_000 + 12_345), 1_000_001 * 90_000);
    assert.equal(at(phase - 100_000), -90_000);
  });

  it("keeps parts of a second", () => {
    assert.equal(nextTick(every(1.5), { after: 0, phase: 0 }), 1500);
  });
});

describe("scheduleFault", () => {
  it("finds right what can be scheduled", () => {
    for (const expression of ["* * * * *", "0 0 1 1 *", "* * * * * *", "@daily", "0\t9  * * 1 ", "? * * * ?"])
      assert.equal(scheduleFault(cron(expression)), null, expression);
    for (const zone of ["UTC", "Etc/GMT+5", "Europe/Berlin", "Australia/Lord_Howe"])
      assert.equal(scheduleFault(cron("@daily", zone)), null, zone);
    assert.equal(scheduleFault(every(1)), null);
  });

  it("says what is wrong with a cron expression", () => {
    const wrong: [string, RegExp][] = [
      ["", /^the cron expression "" has 1 fields; 5 \(minute/],
      ["* * * *", /has 4 fields/],
      ["* * * * * * *", /has 7 fields/],
      ["2030-01-01T00:00:00", /has 1 fields/],
      ["60 * * * *", /^the cron expression "60 \* \* \* \*" is not valid: Invalid value for minute: 60$/],
      ["0 24 * * *", /is not valid: /],
      ["0 0 0 * *", /is not valid: /],
      ["0 0 * 13 *", /is not valid: /],
      ["0 0 * * 8", /is not valid: /],
      ["*/0 * * * *", /is not valid: /],
      ["0 22-2 * * *", /is not valid: /],
      ["1,,2 * * * *", /is not valid: /],
      ["H * * * *", /is not valid: /],
      ["@reboot", /is not valid: /],
      ["@every 5m", /is not valid: /],
      ["0 0 30 2 *", /names a day that never comes$/],
      ["0 ".repeat(200), /is 400 characters long; at most 200/],
    ];
    for (const [expression, fault] of wrong) assert.match(scheduleFault(cron(expression)) ?? "none", fault);
  });

  it("says what is wrong with a time zone or a period", () => {
    for (const zone of ["", "Mars/Olympus", "+02:00", "CEST "])
      assert.match(
        scheduleFault(cron("@daily", zone)) ?? "none",
        /is not known; an IANA name such as "Europe\/Berlin"/,
      );
    for (const everyS of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.match(scheduleFault(every(everyS)) ?? "none", /^everyS is \S+; a number from 1 to 31622400 is needed$/);
  });
});
