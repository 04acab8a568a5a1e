import { between, random, shuffled } from "./random.ts";

/** What is done to the system, at `atMs` after the first call. `pick` (0 up to 1) chooses among what is there at that moment. */
export type Fault = { atMs: number } & (
  | { type: "kill server" | "drain server"; server: number }
  | { type: "hold server"; server: number; forMs: number }
  /** Between the server and its database alone. */
  | { type: "cut network"; server: number; forMs: number }
  /** From the database, and from its clients too. */
  | { type: "cut off server"; server: number; forMs: number }
  | { type: "skew clock"; server: number; byMs: number; forMs: number }
  | { type: "kill replica"; pick: number }
  | { type: "hold replica"; pick: number; forMs: number }
  | { type: "kill database"; forMs: number }
  | { type: "kill all" }
  /** Another deployment of the same code: what runs on the one before ends there, and limits hold over both. */
  | { type: "deploy"; version: number }
  | { type: "pause queue"; pick: number; forMs: number }
  | { type: "fill disk"; forMs: number }
);

export type FaultType = Fault["type"];

export interface PlanRequest {
  seed: number;
  forMs: number;
  servers: number;
  /** Those that this machine and this store can be done. */
  types: readonly FaultType[];
  /** Silence of a server after which others take its jobs; null: there are no others. */
  leaseMs: number | null;
}

/**
 * Two lanes of faults, each one after the other: of what all share (servers, database, disk, network), and of single parts (replicas, clocks).
 * So two of different lanes may strike together, and a server is never asked to die twice at once. In each turn of a lane every fault strikes as
 * often as is said here, in an order of the seed's.
 */
const LANES: { meanGapMs: number; times: Partial<Record<FaultType, number>> }[] = [
  {
    meanGapMs: 5000,
    times: {
      "kill server": 4,
      "drain server": 1,
      "hold server": 2,
      "kill database": 2,
      "cut network": 2,
      "cut off server": 2,
      "kill all": 1,
      "fill disk": 1,
    },
  },
  { meanGapMs: 2500, times: { "kill replica": 4, "hold replica": 1, "skew clock": 1, deploy: 1, "pause queue": 1 } },
];

const SKEWS_MS = [-60_000, -10_000, -1000, 1000, 10_000, 60_000];

/** The same request gives the same plan. */
export function planFaults(request: PlanRequest): Fault[] {
  const faults = LANES.flatMap((lane, index) => {
    const next = random(request.seed + 7919 * (index + 1));
    const turn = request.types.flatMap((type) => Array.from({ length: lane.times[type] ?? 0 }, () => type));
    if (turn.length === 0) return [];
    const planned: Fault[] = [];
    let left: FaultType[] = [];
    let atMs = between(next, 500, 500 + lane.meanGapMs);
    while (atMs < request.forMs) {
      if (left.length === 0) left = shuffled(next, turn);
      const fault = faultOf(left.pop() as FaultType, atMs, request, next);
      planned.push(fault);
      atMs += ("forMs" in fault ? fault.forMs : 0) + between(next, lane.meanGapMs / 4, lane.meanGapMs * 1.75);
    }
    return planned;
  });
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

/** The lane that a fault belongs to: those of one strike one after the other. */
export const laneOf = ({ type }: Fault): number => LANES.findIndex(({ times }) => type in times);

function faultOf(type: FaultType, atMs: number, { servers, leaseMs }: PlanRequest, next: () => number): Fault {
  const server = between(next, 0, servers - 1);
  // Half of what is held or cut is for longer than a lease.
  const forMs = leaseMs === null || next() < 0.5 ? between(next, 300, 3000) : leaseMs + between(next, 1000, 4000);
  switch (type) {
    case "kill server":
    case "drain server":
      return { atMs, type, server };
    case "hold server":
    case "cut network":
    case "cut off server":
      return { atMs, type, server, forMs };
    case "skew clock":
      return { atMs, type, server, byMs: SKEWS_MS[between(next, 0, SKEWS_MS.length - 1)] ?? 0, forMs };
    case "kill replica":
      return { atMs, type, pick: next() };
    case "hold replica":
      return { atMs, type, pick: next(), forMs };
    case "kill all":
      return { atMs, type };
    case "deploy":
      return { atMs, type, version: between(next, 1, 1_000_000) };
    case "pause queue":
      return { atMs, type, pick: next(), forMs: between(next, 300, 3000) };
    case "kill database":
    case "fill disk":
      return { atMs, type, forMs: between(next, 1000, 4000) };
  }
}

/** One line, for people. */
export function faultText({ atMs, type, ...rest }: Fault): string {
  const details = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === "number" ? Math.round(value * 1000) / 1000 : value}`,
  );
  return `${(atMs / 1000).toFixed(1).padStart(6)} s  ${type}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}
