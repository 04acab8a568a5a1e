-- name: deploymentInsert
INSERT INTO deployments (app, digest, spec, upload_blob, status, created_at)
VALUES (:app, :digest, :spec, :uploadBlob, 'building', :now)
RETURNING *;

-- name: deploymentSupersede
UPDATE deployments SET status = 'superseded' WHERE app = :app AND status = 'live';

-- name: deploymentSetLive
UPDATE deployments SET status = 'live' WHERE deployment = :deployment RETURNING *;

-- name: deploymentFail
UPDATE deployments SET status = 'failed', error = :error WHERE deployment = :deployment;

-- name: deploymentGet
SELECT * FROM deployments WHERE deployment = :deployment;

-- name: deploymentApp
SELECT app FROM deployments WHERE deployment = :deployment;

-- name: deploymentList
SELECT * FROM deployments WHERE deployment < :before ORDER BY deployment DESC LIMIT :limit;

-- name: deploymentListOfApp
SELECT * FROM deployments WHERE app = :app AND deployment < :before ORDER BY deployment DESC LIMIT :limit;

-- name: deploymentListLive
SELECT * FROM deployments WHERE status = 'live' ORDER BY app;

-- name: deploymentListLiveOf
SELECT * FROM deployments WHERE status = 'live' AND app IN (SELECT value FROM json_each(:apps)) ORDER BY app;

-- name: deploymentListNeeded
SELECT * FROM deployments
WHERE deployment IN (
  SELECT deployment FROM deployments WHERE status = 'live'
  UNION
  SELECT deployment FROM job_counts WHERE queued > 0 OR running > 0
)
ORDER BY deployment;

-- name: deploymentPrune
UPDATE deployments SET upload_blob = NULL
WHERE upload_blob IS NOT NULL AND (
  status = 'failed'
  OR status = 'superseded'
    AND deployment NOT IN (SELECT deployment FROM job_counts WHERE queued > 0 OR running > 0)
    AND :keep <= (
      SELECT count(*) FROM deployments newer
      WHERE newer.app = deployments.app AND newer.deployment > deployments.deployment AND newer.status = 'superseded'
    )
);

-- name: appDeleteJobs
DELETE FROM jobs WHERE queue IN (SELECT queue FROM queues WHERE app = :app);

-- name: appDeleteKeys
DELETE FROM idempotency_keys WHERE queue IN (SELECT queue FROM queues WHERE app = :app);

-- name: appDeleteCounts
DELETE FROM job_counts WHERE queue IN (SELECT queue FROM queues WHERE app = :app);

-- name: appDeleteStarts
DELETE FROM rate_starts WHERE queue IN (SELECT queue FROM queues WHERE app = :app);

-- name: appDeleteQueues
DELETE FROM queues WHERE app = :app;

-- name: appDeleteSchedules
DELETE FROM schedules WHERE app = :app;

-- name: appDeleteDeployments
DELETE FROM deployments WHERE app = :app;
