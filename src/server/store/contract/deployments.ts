import type { AppSpec } from "../../../protocol/spec.ts";
import type { NewSchedule } from "./schedules.ts";

/** Deployments and apps. */
export interface DeploymentVerbs {
  /** D. Makes a deployment with status `building`; it is not live yet. */
  deploymentInsert(p: NewDeployment & { now: number }): Promise<DeploymentRecord>;
  /**
   * D. Makes it the app's live one, and the one before it `superseded`. The app's schedules are then these: one that its function had before
   * with an equal spec keeps its next time; `paused` is kept in any case.
   */
  deploymentActivate(p: { deployment: number; schedules: NewSchedule[]; now: number }): Promise<DeploymentRecord>;
  /** D. */
  deploymentFail(p: { deployment: number; error: DeploymentError; now: number }): Promise<void>;
  deploymentGet(p: { deployment: number }): Promise<DeploymentRecord | null>;
  /** Newest first; `before` is a deployment number, exclusive. */
  deploymentList(p: { app?: string; before?: number; limit: number }): Promise<DeploymentRecord[]>;
  /** The live deployment of every app, or of these apps, by name of the app. */
  deploymentListLive(p?: { apps: string[] }): Promise<DeploymentRecord[]>;
  /** Deployments that are live, or that queued or running jobs still need. What restarts must be able to run. */
  deploymentListNeeded(): Promise<DeploymentRecord[]>;
  /**
   * D. Lets go of the uploads that nobody can ask for again: of deployments that failed, and of superseded ones that have neither a queued nor a
   * running job and are not among the `keep` newest superseded ones of their app. Returns of how many.
   */
  deploymentPrune(p: { keep: number }): Promise<number>;
  /** D. Takes the app out: deployments, jobs, events, queues, schedules. False where there was none. */
  appDelete(p: { app: string; now: number }): Promise<boolean>;
}

export interface NewDeployment {
  app: string;
  digest: string;
  spec: AppSpec;
  /** SHA-256 of the blob that holds the whole upload, for servers that have not got its files; null: none does. */
  uploadBlob: string | null;
}

/** Why a deployment is not live. */
export interface DeploymentError {
  code: string;
  message: string;
  /** What its replicas wrote last. */
  lastStderr: string[];
}

export interface DeploymentRecord extends NewDeployment {
  deployment: number;
  status: "building" | "live" | "superseded" | "failed";
  error: DeploymentError | null;
  createdAt: number;
}
