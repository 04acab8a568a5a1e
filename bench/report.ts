import { readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { Row } from "./alternate.ts";

export function hardware(): string {
  const cpu = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpu[0]?.model ?? "unknown processor"}, ${cpu.length} cores, ${memory} GiB; Linux ${kernel()}; Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}`;
}

function kernel(): string {
  try {
    return readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  } catch {
    return "unknown";
  }
}

/** A table in Markdown; the ratio is each row's median p50 to Athanor's, so above 1 means slower than Athanor. */
export function table(rows: Row[], unit: string): string {
  const own = rows.find((r) => r.name === "Athanor");
  const lines = rows.map((r) => {
    const ratio = own ? (r.medianP50 / own.medianP50).toFixed(2) : "-";
    return `| ${r.name} | ${f(r.medianP50)} | ${f(r.medianP99)} | ${f(r.min)} to ${f(r.max)} | ${ratio} | ${r.note} |`;
  });
  return [
    `| | p50 ${unit} | p99 ${unit} | spread | ratio to Athanor | what it promised |`,
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

const f = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
