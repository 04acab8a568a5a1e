import { AthanorError } from "../../protocol/errors.ts";
import { formatId } from "../../protocol/names.ts";
import type { DeploymentRecord, Store } from "../store/store.ts";

const PAGE = 50;

/** The newest deployment before the live one that was live once. Throws app_not_found, rollback_impossible. */
export async function earlierThanLive(
  store: Pick<Store, "deploymentListLive" | "deploymentList">,
  app: string,
): Promise<DeploymentRecord> {
  const [live] = await store.deploymentListLive({ apps: [app] });
  if (live === undefined)
    throw new AthanorError("app_not_found", `there is no app ${JSON.stringify(app.slice(0, 100))}`);
  for (let before = live.deployment; ; ) {
    const page = await store.deploymentList({ app, before, limit: PAGE });
    const found = page.find(({ status }) => status === "superseded");
    if (found !== undefined) return found;
    const last = page.at(-1);
    if (last === undefined) break;
    before = last.deployment;
  }
  throw new AthanorError(
    "rollback_impossible",
    `no deployment of ${app} before ${formatId("deployments", live.deployment)}, the live one, was ever live`,
  );
}

/** The deployment, where it can be made live again. Throws rollback_impossible. */
export function refuseRollback(record: DeploymentRecord | null, isHere: (digest: string) => boolean): DeploymentRecord {
  if (record === null) throw new AthanorError("rollback_impossible", "its app was deleted meanwhile");
  const id = formatId("deployments", record.deployment);
  if (record.status !== "superseded") {
    const why = record.error === null ? "" : `: ${record.error.code}: ${record.error.message}`;
    throw new AthanorError("rollback_impossible", `${id} of ${record.app} was never live${why}`);
  }
  if (record.uploadBlob === null && !isHere(record.digest))
    throw new AthanorError("rollback_impossible", `${id} of ${record.app} is too old: its code is no longer kept`, {
      hint: "Deploy its source again.",
    });
  return record;
}
