import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import { type DeploymentRow, type ScheduleRow, toDeployment } from "../rows.ts";
import type { DeploymentError, DeploymentRecord, NewDeployment, NewSchedule } from "../store.ts";
import type { Database, Tx } from "./database.ts";
import { LOCKS } from "./locks.ts";

/** An app may have many jobs to delete. */
const DELETE_TIMEOUT_MS = 10 * 60 * 1000;

export async function deploymentInsert(db: Database, p: NewDeployment & { now: number }): Promise<DeploymentRecord> {
  const { app, digest, uploadBlob, now } = p;
  return await db.write({ durable: true }, async (tx) => {
    const [made] = await tx.write<DeploymentRow>("deploymentInsert", {
      ...{ app, digest, uploadBlob, now },
      spec: JSON.stringify(p.spec),
    });
    return () => toDeployment(made as DeploymentRow);
  });
}

export async function deploymentActivate(
  db: Database,
  p: { deployment: number; schedules: NewSchedule[]; now: number },
): Promise<DeploymentRecord> {
  const { deployment } = p;
  return await db.write({ durable: true, locks: [LOCKS.apps({ shared: false })] }, async (tx) => {
    const row = await existing(tx, deployment);
    if (row.status === "failed") {
      throw new AthanorError("internal", `${formatId("deployments", deployment)} has failed and cannot go live.`);
    }
    await setSchedules(tx, row.app, p.schedules);
    if (row.status === "live") return () => toDeployment(row);
    void tx.write("deploymentSupersede", { app: row.app });
    const [live] = await tx.write<DeploymentRow>("deploymentSetLive", { deployment });
    return () => toDeployment(live as DeploymentRow);
  });
}

/** One whose spec is equal keeps its next time. */
async function setSchedules(tx: Tx, app: string, schedules: NewSchedule[]): Promise<void> {
  const present = await tx.read<ScheduleRow>("scheduleListLocked", { app });
  const same = (a: object, b: object) =>
    JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());
  const rows = schedules.flatMap(({ function: name, spec, nextAt }) => {
    const before = present.find((row) => row.function === name);
    return before !== undefined && same(before.spec, spec) ? [] : { function: name, spec, next_at: nextAt };
  });
  const functions = schedules.map(({ function: name }) => name);
  if (present.some((row) => !functions.includes(row.function))) void tx.write("scheduleDropOthers", { app, functions });
  if (rows.length > 0) void tx.write("scheduleSet", { app, rows: JSON.stringify(rows) });
}

export async function deploymentFail(
  db: Database,
  p: { deployment: number; error: DeploymentError; now: number },
): Promise<void> {
  await db.write({ durable: true }, async (tx) => {
    const { status } = await existing(tx, p.deployment);
    if (status !== "building") {
      const id = formatId("deployments", p.deployment);
      throw new AthanorError("internal", `${id} is ${status}; only one that is building can fail.`);
    }
    void tx.write("deploymentFail", { deployment: p.deployment, error: JSON.stringify(p.error) });
    return () => {};
  });
}

export async function deploymentGet(db: Database, p: { deployment: number }): Promise<DeploymentRecord | null> {
  const row = await db.get<DeploymentRow>("deploymentGet", p);
  return row === undefined ? null : toDeployment(row);
}

export async function deploymentList(
  db: Database,
  p: { app?: string; before?: number; limit: number },
): Promise<DeploymentRecord[]> {
  const page = { before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit };
  const rows =
    p.app === undefined
      ? await db.read<DeploymentRow>("deploymentList", page)
      : await db.read<DeploymentRow>("deploymentListOfApp", { ...page, app: p.app });
  return rows.map(toDeployment);
}

export async function deploymentListLive(db: Database, p?: { apps: string[] }): Promise<DeploymentRecord[]> {
  const rows =
    p === undefined ? db.read<DeploymentRow>("deploymentListLive") : db.read<DeploymentRow>("deploymentListLiveOf", p);
  return (await rows).map(toDeployment);
}

export async function deploymentListNeeded(db: Database): Promise<DeploymentRecord[]> {
  return (await db.read<DeploymentRow>("deploymentListNeeded")).map(toDeployment);
}

export async function deploymentPrune(db: Database, p: { keep: number }): Promise<number> {
  return await db.write({ durable: true }, async (tx) => {
    const pruned = await tx.write("deploymentPrune", p);
    return () => pruned.length;
  });
}

export async function appDelete(db: Database, { app }: { app: string }): Promise<boolean> {
  const options = { durable: true, locks: [LOCKS.apps({ shared: false })], timeoutMs: DELETE_TIMEOUT_MS };
  return await db.write(options, async (tx) => {
    void tx.write("appJobs", { app });
    void tx.write("appQueues", { app });
    const gone = await tx.write("appDeployments", { app });
    return () => gone.length > 0;
  });
}

async function existing(tx: Tx, deployment: number): Promise<DeploymentRow> {
  const row = await tx.get<DeploymentRow>("deploymentLock", { deployment });
  if (row === undefined) {
    throw new AthanorError("deployment_not_found", `There is no ${formatId("deployments", deployment)}.`);
  }
  return row;
}
