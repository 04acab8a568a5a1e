import type { Command } from "../command.ts";
import { appDelete } from "./app-delete.ts";
import { appList } from "./app-list.ts";
import { appShow } from "./app-show.ts";
import { backup } from "./backup.ts";
import { deploy } from "./deploy.ts";
import { deploymentList } from "./deployment-list.ts";
import { deploymentLogs } from "./deployment-logs.ts";
import { deploymentRollback } from "./deployment-rollback.ts";
import { deploymentShow } from "./deployment-show.ts";
import { dev } from "./dev.ts";
import { doctor } from "./doctor.ts";
import { events } from "./events.ts";
import { init } from "./init.ts";
import { jobCancel } from "./job-cancel.ts";
import { jobList } from "./job-list.ts";
import { jobLogs } from "./job-logs.ts";
import { jobReplay } from "./job-replay.ts";
import { jobResult } from "./job-result.ts";
import { jobRetry } from "./job-retry.ts";
import { jobShow } from "./job-show.ts";
import { jobWatch } from "./job-watch.ts";
import { jobWebhook } from "./job-webhook.ts";
import { queueKeys } from "./queue-keys.ts";
import { queueList } from "./queue-list.ts";
import { queuePause, queueResume } from "./queue-pause.ts";
import { restore } from "./restore.ts";
import { run } from "./run.ts";
import { scheduleList } from "./schedule-list.ts";
import { schedulePause, scheduleResume, scheduleTrigger } from "./schedule-pause.ts";
import { up } from "./up.ts";

/** In the order of help. */
export const COMMANDS: readonly Command[] = [
  up,
  dev,
  init,
  deploy,
  run,
  jobList,
  jobShow,
  jobWatch,
  jobResult,
  jobCancel,
  jobRetry,
  jobReplay,
  jobLogs,
  jobWebhook,
  queueList,
  queuePause,
  queueResume,
  queueKeys,
  scheduleList,
  schedulePause,
  scheduleResume,
  scheduleTrigger,
  appList,
  appShow,
  appDelete,
  deploymentList,
  deploymentShow,
  deploymentLogs,
  deploymentRollback,
  events,
  doctor,
  backup,
  restore,
];
