import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { AppSpec } from "../../protocol/spec.ts";
import type { StartingReplica } from "./session.ts";

/** What the hub needs to know of a deployment; a LoadedDeployment is one. */
export interface HostedDeployment {
  number: number;
  app: string;
  spec: AppSpec;
  /** The deployment's own folder; its compile cache is kept below. */
  dir: string;
  bundlePath: string;
  validatorsPath: string;
}

export interface StartReplicaRequest {
  replicaId: string;
  deployment: HostedDeployment;
  group: ReplicaGroup;
  serverUrl: string;
  serverToken: string;
}

/** Starts replicas; what the scheduler depends on. */
export interface ReplicaStarter {
  /** Returns at once, in state `starting`. */
  startReplica(request: StartReplicaRequest): StartingReplica;
}
