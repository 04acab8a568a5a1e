import { performance } from "node:perf_hooks";
import { type Contestant, type Running, Unavailable } from "./contestant.ts";
import { median, type Summary, summarise } from "./stats.ts";

export interface Plan {
  contestants: Contestant[];
  /** Every contestant is started afresh in each round, in an order that turns, so that a drift of the machine meets all alike. */
  rounds: number;
  warmUp: number;
  samples: number;
  check(n: number, answer: unknown): void;
}

export interface Row extends Summary {
  name: string;
  note: string;
  /** Median over rounds of each round's own percentile. */
  medianP50: number;
  medianP99: number;
}

/** Runs the contestants in alternation, checks every answer, and returns a row each; the unavailable ones are named. */
export async function alternate(plan: Plan): Promise<{ rows: Row[]; missing: string[] }> {
  const rounds = new Map<string, number[][]>(plan.contestants.map((c) => [c.name, []]));
  const missing = new Map<string, string>();
  for (let round = 0; round < plan.rounds; round++) {
    for (const contestant of rotate(plan.contestants, round)) {
      if (missing.has(contestant.name)) continue;
      process.stderr.write(`round ${round + 1}/${plan.rounds}: ${contestant.name}\n`);
      try {
        await using running = await contestant.start({ inFlight: 1 });
        rounds.get(contestant.name)?.push(await sample(running, plan));
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        missing.set(contestant.name, error.message);
      }
    }
  }
  const rows = plan.contestants.filter((c) => !missing.has(c.name)).map((c) => row(c, rounds.get(c.name) ?? []));
  return {
    rows,
    missing: [...missing].map(([name, why]) => `${name}: ${why}`),
  };
}

async function sample(running: Running, plan: Plan): Promise<number[]> {
  const samples: number[] = [];
  for (let n = 0; n < plan.warmUp + plan.samples; n++) {
    const start = performance.now();
    const { answer, ms } = await running.once(n);
    const elapsed = ms ?? performance.now() - start;
    plan.check(n, answer);
    if (n >= plan.warmUp) samples.push(elapsed);
  }
  return samples;
}

function row(contestant: Contestant, rounds: number[][]): Row {
  const summaries = rounds.map(summarise);
  return {
    name: contestant.name,
    note: contestant.note,
    ...summarise(rounds.flat()),
    medianP50: median(summaries.map((s) => s.p50)),
    medianP99: median(summaries.map((s) => s.p99)),
  };
}

export function rotate<T>(items: T[], by: number): T[] {
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}
