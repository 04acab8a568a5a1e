import type { ReplicaGroup } from "../../protocol/groups.ts";
import type { AppSpec, FunctionSpec } from "../../protocol/spec.ts";
import type { Validators } from "../../schema/validators.ts";

/** A deployment whose files are on this server's disk, ready to be run and called. Immutable. */
export interface LoadedDeployment {
  readonly number: number;
  /** `deployments:7` */
  readonly id: string;
  readonly app: string;
  readonly digest: string;
  readonly spec: AppSpec;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Its own folder: bundle, source map, validators, compile cache. */
  readonly dir: string;
  readonly bundlePath: string;
  readonly validatorsPath: string;
  /** As groupsOf(spec) gives them. */
  readonly groups: ReplicaGroup[];
  /** Loaded at the first call, then kept. */
  validators(): Validators;
  fn(name: string): FunctionSpec | undefined;
  /** The group whose replicas run the function. */
  groupOf(fn: string): ReplicaGroup | undefined;
}
