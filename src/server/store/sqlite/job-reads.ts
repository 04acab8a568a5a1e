import type { JobCount, JobRecord, Store } from "../store.ts";
import type { Connection } from "./connection.ts";
import { type FullJobRow, type JobRow, toJob } from "./rows.ts";

export function jobRow(db: Connection, job: number): JobRow | undefined {
  return db.get<JobRow>("jobHead", { job });
}

/** Of a job that is known to exist. */
export function jobInput(db: Connection, job: number): string {
  return (db.get("jobInput", { job }) as { input: string }).input;
}

export function jobGet(db: Connection, p: { job: number }): JobRecord | null {
  const row = db.get<FullJobRow>("jobGet", { job: p.job });
  return row === undefined ? null : toJob(row);
}

export function jobList(db: Connection, p: Parameters<Store["jobList"]>[0]): JobRecord[] {
  const status = p.status === undefined ? null : JSON.stringify(p.status);
  const page = { before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit, status };
  return jobNumbers(db, p.app, p.function, page).map(({ job }) => jobGet(db, { job }) as JobRecord);
}

function jobNumbers(
  db: Connection,
  app: string | undefined,
  name: string | undefined,
  page: { before: number; limit: number; status: string | null },
): { job: number }[] {
  if (app !== undefined && name !== undefined) return db.all("jobListOfFunction", { ...page, app, function: name });
  if (app !== undefined) return db.all("jobListOfApp", { ...page, app });
  if (name !== undefined) return db.all("jobListOfFunctionName", { ...page, function: name });
  return db.all("jobListAll", page);
}

export function jobPosition(db: Connection, p: { job: number }): number | null {
  const row = jobRow(db, p.job);
  if (row === undefined || row.status !== "queued") return null;
  return placeInQueue(db, row);
}

/** The place that the job has, or would have, among the queued jobs of its function: by its number. */
export function placeInQueue(db: Connection, { app, function: name, job }: JobRow): number {
  return (db.get("jobsAhead", { app, function: name, job }) as { ahead: number }).ahead + 1;
}

export function jobCounts(db: Connection, p: { now: number }): JobCount[] {
  const delayed = new Map<string, number>();
  const rows = db.all<{ deployment: number; function: string; delayed: number }>("jobDelayed", { now: p.now });
  for (const row of rows) delayed.set(`${row.deployment}/${row.function}`, row.delayed);
  return db.all<Omit<JobCount, "due">>("jobCounts").map((count) => {
    const due = count.queued - (delayed.get(`${count.deployment}/${count.function}`) ?? 0);
    const { app, deployment, function: name, queued, running } = count;
    return { app, deployment, function: name, due, queued, running };
  });
}

export function jobNextDue(db: Connection, p: { now: number }): number | null {
  return (db.get("jobNextDue", { now: p.now }) as { due: number | null }).due;
}
