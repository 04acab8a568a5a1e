import type { DependencySet, FunctionKind } from "../spec.ts";
import type { ReplicaGroupJson } from "./replicas.ts";

export interface DeploymentJson {
  deployment_id: string;
  app: string;
  digest: string;
  status: "live" | "superseded" | "failed";
  created_at: string;
  functions: FunctionJson[];
  /** Why it is `failed`, else null. */
  error: DeploymentErrorJson | null;
  /** What its deploy took, as far as the server that made it live still remembers. */
  phases: DeployPhaseJson[];
}

/** Of `GET /v1/deployments/:id/dependencies`. */
export interface DeploymentDependenciesJson {
  /** False: its upload is no longer kept. */
  known: boolean;
  dependencies: DependencySet | null;
}

/** Why a deployment is not live. */
export interface DeploymentErrorJson {
  code: string;
  message: string;
  /** What its replicas wrote last. */
  last_stderr: string[];
}

/**
 * `upload`: the server receives it; `install`: its files are written, its schemas compiled, its packages installed; `trial`: one replica is started and taken
 * away; `prepare`: the replicas that take over are started; `switch`: it is made live.
 */
export type DeployPhase = "upload" | "install" | "trial" | "prepare" | "switch";

export interface DeployPhaseJson {
  phase: DeployPhase;
  duration_s: number;
}

/** `GET /v1/deployments/:id`. */
export interface DeploymentDetailJson extends DeploymentJson {
  /** What runs of it on the server that answers, by groups of functions that share replicas. Empty where nothing of it runs, or should. */
  replica_groups: ReplicaGroupJson[];
}

export interface FunctionJson {
  name: string;
  kind: FunctionKind;
  /** Null for a plain function, which has no HTTP face. */
  url: string | null;
  methods: string[];
  queued: boolean;
  description: string | null;
}

/** The answer to `POST /v1/deployments`. */
export interface DeployResult {
  deployment: DeploymentJson;
  /** True where the live deployment already had this digest, and nothing was made. */
  unchanged: boolean;
  links: { app: string; openapi: string; docs: string };
}

export interface AppJson {
  app: string;
  deployment_id: string;
  created_at: string;
  functions: FunctionJson[];
  jobs: { queued: number; running: number };
  links: { self: string; openapi: string; docs: string };
}

/** One line of a replica's output, of `GET /v1/deployments/:id/logs`. */
export interface LogLine {
  at: string;
  replica_id: string;
  function: string | null;
  job_id: string | null;
  stream: "stdout" | "stderr";
  line: string;
}
