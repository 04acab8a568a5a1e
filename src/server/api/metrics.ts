import type { Context } from "../context.ts";

/** Gauges and counters in the Prometheus text format. */
export async function metricsText(context: Context): Promise<string> {
  const counts = await context.store.jobCounts({ now: context.store.clock() });
  const replicas = Object.entries(
    Object.groupBy(context.scheduler.replicas(), ({ app, status }) => labels({ app, status })),
  );
  const perFunction = (pick: (count: (typeof counts)[number]) => number): [string, number][] =>
    counts.map((count) => [
      labels({ app: count.app, function: count.function, deployment: `${count.deployment}` }),
      pick(count),
    ]);
  return [
    ...metric(
      "athanor_jobs_queued",
      "Jobs that wait.",
      perFunction(({ queued }) => queued),
    ),
    ...metric(
      "athanor_jobs_running",
      "Jobs that run.",
      perFunction(({ running }) => running),
    ),
    ...metric(
      "athanor_replicas",
      "Replicas by app and status.",
      replicas.map(([label, list]) => [label, list?.length ?? 0]),
    ),
    ...counter("athanor_webhook_attempts_total", "Deliveries of webhooks that this server tried, by how they went.", [
      ...Object.entries(context.webhooks.counts).map(([result, count]): [string, number] => [
        labels({ result }),
        count,
      ]),
    ]),
    ...metric("athanor_servers", "Servers of the store, as this one knows.", [["", context.lease.servers]]),
    ...metric("athanor_leader", "1 where this server leads.", [["", context.lease.leads ? 1 : 0]]),
    ...metric("athanor_store_reachable", "1 where the store answered the last time.", [
      ["", context.lease.reaches ? 1 : 0],
    ]),
    ...metric("athanor_resident_memory_bytes", "Memory of the server's own process.", [
      ["", process.memoryUsage.rss()],
    ]),
    ...metric("athanor_start_time_seconds", "When the server started.", [["", context.startedAt / 1000]]),
    "",
  ].join("\n");
}

function counter(name: string, help: string, values: [labels: string, value: number][]): string[] {
  return metric(name, help, values, "counter");
}

function metric(
  name: string,
  help: string,
  values: [labels: string, value: number][],
  type: "gauge" | "counter" = "gauge",
): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...values.map(([label, value]) => `${name}${label} ${value}`),
  ];
}

// Names of apps and functions hold nothing that would need escaping.
function labels(pairs: { [name: string]: string }): string {
  return `{${Object.entries(pairs)
    .map(([name, value]) => `${name}="${value}"`)
    .join(",")}}`;
}
