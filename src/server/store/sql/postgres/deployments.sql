-- name: deploymentInsert
INSERT INTO deployments (app, digest, spec, upload_blob, status, created_at)
VALUES (:app, :digest, :spec::json, :uploadBlob, 'building', :now)
RETURNING *;

-- name: deploymentLock
SELECT * FROM deployments WHERE deployment = :deployment FOR UPDATE;

-- name: deploymentSupersede
UPDATE deployments SET status = 'superseded' WHERE app = :app AND status = 'live';

-- name: deploymentSetLive
UPDATE deployments SET status = 'live' WHERE deployment = :deployment RETURNING *;

-- name: deploymentFail
UPDATE deployments SET status = 'failed', error = :error::json WHERE deployment = :deployment;

-- name: deploymentGet
SELECT * FROM deployments WHERE deployment = :deployment;

-- name: deploymentList
SELECT * FROM deployments WHERE deployment < :before::bigint ORDER BY deployment DESC LIMIT :limit;

-- name: deploymentListOfApp
SELECT * FROM deployments WHERE app = :app AND deployment < :before::bigint ORDER BY deployment DESC LIMIT :limit;

-- name: deploymentListLive
SELECT * FROM deployments WHERE status = 'live' ORDER BY app;

-- name: deploymentListLiveOf
SELECT * FROM deployments WHERE status = 'live' AND app = ANY (:apps::text[]) ORDER BY app;

-- name: deploymentListNeeded
SELECT * FROM deployments
WHERE deployment IN (
  SELECT deployment FROM deployments WHERE status = 'live'
  UNION
  SELECT deployment FROM job_counts GROUP BY queue, deployment HAVING sum(ready + held) > 0 OR sum(running) > 0
)
ORDER BY deployment;

-- name: deploymentPrune
UPDATE deployments SET upload_blob = NULL
WHERE upload_blob IS NOT NULL AND (
  status = 'failed'
  OR status = 'superseded'
    AND deployment NOT IN (
      SELECT deployment FROM job_counts GROUP BY queue, deployment HAVING sum(ready + held) > 0 OR sum(running) > 0
    )
    AND :keep::bigint <= (
      SELECT count(*) FROM deployments newer
      WHERE newer.app = deployments.app AND newer.deployment > deployments.deployment AND newer.status = 'superseded'
    )
)
RETURNING deployment;

-- name: appJobs
-- The app's jobs, with all that hangs on them.
WITH gone AS (DELETE FROM jobs USING queues WHERE queues.queue = jobs.queue AND queues.app = :app RETURNING jobs.*),
  no_ready AS (
    DELETE FROM ready USING gone
    WHERE gone.status = 'queued' AND ready.deployment = gone.deployment AND ready.queue = gone.queue
      AND ready.rank = -gone.priority AND ready.place = gone.place AND ready.job = gone.job
  ),
  no_delayed AS (DELETE FROM delayed USING gone WHERE delayed.run_after = gone.run_after AND delayed.job = gone.job),
  no_running AS (DELETE FROM running USING gone WHERE running.job = gone.job),
  no_expiring AS (DELETE FROM expiring USING gone WHERE expiring.expires_at = gone.expires_at AND expiring.job = gone.job),
  no_ended AS (
    DELETE FROM ended USING gone
    WHERE ended.prune_at = ceil(gone.finished_at + gone.ttl_s * 1000)::bigint AND ended.job = gone.job
  ),
  no_segments AS (DELETE FROM event_segments USING gone WHERE event_segments.job = gone.job),
  no_blobs AS (DELETE FROM job_blobs USING gone WHERE job_blobs.job = gone.job)
DELETE FROM webhooks USING gone WHERE webhooks.job = gone.job;

-- name: appQueues
WITH gone AS (DELETE FROM queues WHERE app = :app RETURNING queue),
  no_waits AS (DELETE FROM key_waits USING gone WHERE key_waits.queue = gone.queue),
  no_counts AS (DELETE FROM job_counts USING gone WHERE job_counts.queue = gone.queue),
  no_keys AS (DELETE FROM concurrency_keys k USING gone WHERE k.queue = gone.queue),
  no_starts AS (DELETE FROM rate_starts USING gone WHERE rate_starts.queue = gone.queue),
  no_schedules AS (DELETE FROM schedules WHERE app = :app)
DELETE FROM idempotency_keys USING gone WHERE idempotency_keys.queue = gone.queue;

-- name: appDeployments
DELETE FROM deployments WHERE app = :app RETURNING deployment;
