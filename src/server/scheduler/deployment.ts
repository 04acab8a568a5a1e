import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { FunctionSpec } from "../../protocol/spec.ts";
import type { HostedDeployment } from "../replicas/hub.ts";

/** What the scheduler and the jobs need to know of a deployment; a LoadedDeployment is one. */
export interface RunnableDeployment extends HostedDeployment {
  groups: ReplicaGroup[];
  fn(name: string): FunctionSpec | undefined;
}
