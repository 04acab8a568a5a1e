import { AthanorError } from "../../protocol/errors.ts";
import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { ReplicaStarter } from "../replicas/hub.ts";
import type { ReplicaSession, StartingReplica } from "../replicas/session.ts";
import type { LoadedDeployment } from "./loaded.ts";

/**
 * Starts one replica of a deployment that is not live yet, so that an app that throws when it is imported never takes the place of one that works. Who
 * calls makes use of the replica, or drains it: it has served nobody, and its exit hooks undo what its enter hooks did. Null where none could be tried.
 * Throws import_failed with what the replica said.
 */
export async function tryDeployment(p: {
  deployment: LoadedDeployment;
  starter: ReplicaStarter;
  replicaId: string;
  access(deployment: LoadedDeployment, replicaId: string): { serverUrl: string; serverToken: string };
  onReplica(session: ReplicaSession, deployment: LoadedDeployment, group: ReplicaGroup): void;
  /** No replica of that group can start beside that of the live deployment. */
  isSole(group: string): boolean;
  /** The live deployment has a replica of that group that is ready, so that one of the new is wanted too. */
  isWarm(group: string): boolean;
  /** Aborted: the replica is killed, and the trial fails. */
  signal: AbortSignal;
}): Promise<StartingReplica | null> {
  const { deployment, replicaId } = p;
  const group = trialGroup(deployment, p);
  if (group === null) return null;
  const session = p.starter.startReplica({
    replicaId,
    deployment,
    group,
    ...p.access(deployment, replicaId),
  });
  p.onReplica(session, deployment, group);
  const stop = (): void => void session.kill();
  p.signal.addEventListener("abort", stop, { once: true });
  if (p.signal.aborted) stop();
  try {
    await session.ready;
    return session;
  } catch (error) {
    void session.drain();
    throw importFailed(error);
  } finally {
    p.signal.removeEventListener("abort", stop);
  }
}

/**
 * All groups import the same bundle. One whose start does no more is tried where there is one: enter hooks of classes may take minutes, and services bind
 * ports. Null where only such are there that cannot run beside what is live.
 */
function trialGroup(
  { groups }: LoadedDeployment,
  { isSole, isWarm }: { isSole(group: string): boolean; isWarm(group: string): boolean },
): ReplicaGroup | null {
  if (groups.length === 0) throw new AthanorError("no_app", "the deployment has no function");
  const can = groups.filter(({ name }) => !isSole(name));
  const isQuick = ({ functions }: ReplicaGroup): boolean => functions.every((fn) => fn.className === null);
  const isPlain = ({ functions }: ReplicaGroup): boolean => functions.every((fn) => fn.service === null);
  const quick = can.filter(isQuick);
  const best = quick.some(isPlain) ? quick.filter(isPlain) : quick;
  return best.find(({ name }) => isWarm(name)) ?? best[0] ?? can[0] ?? null;
}

function importFailed(error: unknown): unknown {
  if (!(error instanceof AthanorError)) return error;
  const isTheAppsOwn =
    error.code === "startup_failed" ||
    error.code === "startup_timeout" ||
    error.code === "out_of_memory" ||
    error.code === "replica_crashed";
  return isTheAppsOwn ? new AthanorError("import_failed", error.detail, { cause: error }) : error;
}
