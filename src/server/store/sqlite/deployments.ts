import { AthanorError } from "../../../protocol/errors.ts";
import { formatId } from "../../../protocol/names.ts";
import type { DeploymentRecord, VerbParams } from "../store.ts";
import type { Connection } from "./connection.ts";
import { type DeploymentRow, toDeployment } from "./rows.ts";
import { replaceSchedules } from "./schedules.ts";

export function deploymentInsert(db: Connection, p: VerbParams<"deploymentInsert">): DeploymentRecord {
  const { app, digest, uploadBlob, now } = p;
  const row = db.get("deploymentInsert", { app, digest, spec: JSON.stringify(p.spec), uploadBlob, now });
  return toDeployment(row as DeploymentRow);
}

export function deploymentActivate(db: Connection, p: VerbParams<"deploymentActivate">): DeploymentRecord {
  const row = existing(db, p.deployment);
  if (row.status === "failed") {
    throw new AthanorError("internal", `${formatId("deployments", p.deployment)} has failed and cannot go live.`);
  }
  replaceSchedules(db, row.app, p.schedules);
  if (row.status === "live") return toDeployment(row);
  db.run("deploymentSupersede", { app: row.app });
  return toDeployment(db.get("deploymentSetLive", { deployment: p.deployment }) as DeploymentRow);
}

export function deploymentFail(db: Connection, p: VerbParams<"deploymentFail">): void {
  const { status } = existing(db, p.deployment);
  if (status !== "building") {
    throw new AthanorError(
      "internal",
      `${formatId("deployments", p.deployment)} is ${status}; only one that is building can fail.`,
    );
  }
  db.run("deploymentFail", { deployment: p.deployment, error: JSON.stringify(p.error) });
}

export function deploymentGet(db: Connection, p: VerbParams<"deploymentGet">): DeploymentRecord | null {
  const row = db.get<DeploymentRow>("deploymentGet", { deployment: p.deployment });
  return row === undefined ? null : toDeployment(row);
}

export function deploymentList(db: Connection, p: VerbParams<"deploymentList">): DeploymentRecord[] {
  const page = { before: p.before ?? Number.MAX_SAFE_INTEGER, limit: p.limit };
  const rows =
    p.app === undefined
      ? db.all<DeploymentRow>("deploymentList", page)
      : db.all<DeploymentRow>("deploymentListOfApp", { ...page, app: p.app });
  return rows.map(toDeployment);
}

export function deploymentListLive(db: Connection, p?: { apps: string[] }): DeploymentRecord[] {
  const rows =
    p === undefined
      ? db.all<DeploymentRow>("deploymentListLive")
      : db.all<DeploymentRow>("deploymentListLiveOf", { apps: JSON.stringify(p.apps) });
  return rows.map(toDeployment);
}

export function deploymentListNeeded(db: Connection): DeploymentRecord[] {
  return db.all<DeploymentRow>("deploymentListNeeded").map(toDeployment);
}

export function deploymentPrune(db: Connection, p: VerbParams<"deploymentPrune">): number {
  return db.run("deploymentPrune", p);
}

const APP_DELETE = [
  "appDeleteJobs",
  "appDeleteKeys",
  "appDeleteCounts",
  "appDeleteStarts",
  "appDeleteQueues",
  "appDeleteSchedules",
];

export function appDelete(db: Connection, p: VerbParams<"appDelete">): boolean {
  const { app } = p;
  for (const name of APP_DELETE) db.run(name, { app });
  db.forgetQueueNames();
  return db.run("appDeleteDeployments", { app }) > 0;
}

function existing(db: Connection, deployment: number): DeploymentRow {
  const row = db.get<DeploymentRow>("deploymentGet", { deployment });
  if (row === undefined)
    throw new AthanorError("deployment_not_found", `There is no ${formatId("deployments", deployment)}.`);
  return row;
}
