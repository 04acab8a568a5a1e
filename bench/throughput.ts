import { performance } from "node:perf_hooks";
import { rotate } from "./alternate.ts";
import { type Contestant, type Running, Unavailable } from "./contestant.ts";
import { treeCpuMs } from "./cpu.ts";
import { median } from "./stats.ts";

export interface ThroughputPlan {
  contestants: Contestant[];
  /** Each contestant is started afresh in each round, in an order that turns. */
  rounds: number;
  inFlight: number;
  warmUp: number;
  operations: number;
  check(n: number, answer: unknown): void;
}

export interface ThroughputRow {
  name: string;
  note: string;
  /** Operations a second: medians over the rounds, and the extremes. */
  rate: number;
  min: number;
  max: number;
  /** Microseconds of CPU an operation, of client, server and worker together. */
  cpuUs: number;
}

/** How many operations a second each contestant completes with `inFlight` under way. Every answer is checked. */
export async function throughput(plan: ThroughputPlan): Promise<{ rows: ThroughputRow[]; missing: string[] }> {
  const measured = new Map<string, { rate: number; cpuUs: number }[]>(plan.contestants.map(({ name }) => [name, []]));
  const missing = new Map<string, string>();
  for (let round = 0; round < plan.rounds; round++) {
    for (const contestant of rotate(plan.contestants, round)) {
      if (missing.has(contestant.name)) continue;
      process.stderr.write(`round ${round + 1}/${plan.rounds}: ${contestant.name}, ${plan.inFlight} in flight\n`);
      try {
        await using running = await contestant.start({ inFlight: plan.inFlight });
        await drive(running, plan, 0, plan.warmUp);
        const cpuMs = treeCpuMs();
        const startedAt = performance.now();
        await drive(running, plan, plan.warmUp, plan.operations);
        const seconds = (performance.now() - startedAt) / 1000;
        const cpuUs = ((treeCpuMs() - cpuMs) * 1000) / plan.operations;
        measured.get(contestant.name)?.push({ rate: plan.operations / seconds, cpuUs });
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        missing.set(contestant.name, error.message);
      }
    }
  }
  const rows = plan.contestants
    .filter(({ name }) => !missing.has(name))
    .map(({ name, note }) => rowOf(name, note, measured.get(name) ?? []));
  return { rows, missing: [...missing].map(([name, why]) => `${name}: ${why}`) };
}

async function drive(running: Running, plan: ThroughputPlan, from: number, count: number): Promise<void> {
  let next = from;
  const lane = async (): Promise<void> => {
    while (next < from + count) {
      const n = next++;
      const { answer } = await running.once(n);
      plan.check(n, answer);
    }
  };
  await Promise.all(Array.from({ length: plan.inFlight }, lane));
}

function rowOf(name: string, note: string, rounds: { rate: number; cpuUs: number }[]): ThroughputRow {
  const rates = rounds.map(({ rate }) => rate);
  return {
    name,
    note,
    rate: median(rates),
    min: Math.min(...rates),
    max: Math.max(...rates),
    cpuUs: median(rounds.map(({ cpuUs }) => cpuUs)),
  };
}

/** A table in Markdown; the ratio is each row's rate to the first one's, so below 1 means slower than it. */
export function throughputTable(rows: ThroughputRow[]): string {
  const lines = rows.map(({ name, note, rate, min, max, cpuUs }) => {
    const ratio = (rate / (rows[0]?.rate ?? Number.NaN)).toFixed(2);
    const spread = `${Math.round(min)} to ${Math.round(max)}`;
    return `| ${name} | ${Math.round(rate)} | ${spread} | ${Math.round(cpuUs)} | ${ratio} | ${note} |`;
  });
  return [
    "| | jobs/s | spread | CPU µs a job, all processes | ratio to Athanor | what it promised |",
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}
