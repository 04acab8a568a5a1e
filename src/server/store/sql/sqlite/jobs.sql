-- The way of a job: into its queue, to a replica, to its end.

-- name: jobNewest
-- The newest number that was given.
SELECT seq FROM sqlite_sequence WHERE name = 'jobs';

-- name: jobInsert
INSERT INTO jobs (
  job, queue, deployment, status, hold, priority, place, max_attempts, run_after, expires_at, created_at, status_since, ttl_s,
  concurrency_key, key_limit, parent, retry_of, webhook, events_window, events_window_bytes, last_event, input, log, traceparent
)
VALUES (
  :job, :queue, :deployment, 'queued', :hold, :priority, 1048576 * :job, :maxAttempts, :runAfter, :expiresAt, :now, :now, :ttlS,
  :key, :keyLimit, :parent, :retryOf, :webhook, :eventsWindow, :eventsWindowBytes, 1, :input, :log, :traceparent
);

-- name: jobInputInsert
INSERT INTO job_inputs (job, input) VALUES (:job, :input);

-- name: jobBlobInsert
INSERT OR IGNORE INTO job_blobs (job, sha256) VALUES (:job, :sha256);

-- name: jobKeyGet
SELECT job, input_hash, created_at FROM idempotency_keys WHERE queue = :queue AND key = :key;

-- name: jobKeySet
INSERT INTO idempotency_keys (queue, key, input_hash, job, created_at)
VALUES (:queue, :key, :inputHash, :job, :now)
ON CONFLICT (queue, key)
DO UPDATE SET input_hash = excluded.input_hash, job = excluded.job, created_at = excluded.created_at;

-- name: jobParent
SELECT status, cancel_requested_at FROM jobs WHERE job = :job;

-- name: jobDue
-- Left to itself, the planner may take another index and sort.
SELECT job, priority, place FROM jobs INDEXED BY jobs_ready
WHERE status = 'queued' AND hold IS NULL AND queue = :queue AND deployment = :deployment
  AND (run_after IS NULL OR run_after <= :now)
  AND (expires_at IS NULL OR attempt > 0 OR expires_at > :now)
ORDER BY priority DESC, place, job
LIMIT :limit;

-- name: jobStart
-- With room in the log for one event.
UPDATE jobs
SET status = 'running', attempt = attempt + 1, fence = fence + 1, replica = :replica, owner = :owner,
    run_after = NULL, started_at = :now, status_since = :now, progress = 0, message = NULL,
    first_event = max(first_event, last_event + 2 - events_window), last_event = last_event + 1,
    log = log || 'job.running {"attempt":' || (attempt + 1) || ',"replica_id":' || :replicaJson || '}' || char(10)
WHERE job = :job
RETURNING *;

-- name: jobRequeue
UPDATE jobs
SET status = 'queued', hold = :hold, lost_count = lost_count + :lost, crash_count = crash_count + :crashed, replica = NULL, owner = NULL,
    run_after = :runAfter, started_at = NULL, status_since = :now, progress = 0, message = NULL,
    first_event = max(first_event, last_event + 3 - events_window), last_event = last_event + 2, log = log || :lines
WHERE job = :job
RETURNING *;

-- name: jobEndRunning
-- The window never drops the events that end a log.
UPDATE jobs
SET status = :status, error = :error, result = :result, replica = NULL, owner = NULL, finished_at = :now, status_since = :now,
    progress = iif(:result IS NULL, progress, 1),
    first_event = max(first_event, min(last_event + :added - events_window + 1, last_event + 1)),
    last_event = last_event + :added, log = log || :lines
WHERE job = :job AND status = 'running' AND fence = :fence
RETURNING *;

-- name: jobEndQueued
UPDATE jobs
SET status = :status, error = :error, hold = NULL, run_after = NULL, finished_at = :now, status_since = :now,
    first_event = max(first_event, last_event + 2 - events_window), last_event = last_event + 1, log = log || :lines
WHERE job = :job AND status = 'queued'
RETURNING *;

-- name: jobRequestCancel
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, :now) WHERE job = :job RETURNING *;

-- name: jobTree
-- A job with its children, and theirs; itself first.
WITH RECURSIVE tree (job) AS (
  SELECT :job
  UNION
  SELECT jobs.job FROM tree JOIN jobs INDEXED BY jobs_parent ON jobs.parent = tree.job
)
SELECT job FROM tree JOIN jobs USING (job)
WHERE job = :job OR status IN ('queued', 'running')
ORDER BY job <> :job, job;

-- name: jobExpired
SELECT job FROM jobs INDEXED BY jobs_expiring
WHERE status = 'queued' AND attempt = 0 AND expires_at IS NOT NULL AND expires_at <= :now
ORDER BY expires_at, job
LIMIT :limit;

-- name: jobOrphans
SELECT job FROM jobs INDEXED BY jobs_running
WHERE status = 'running' AND owner <> :server
  AND (:all = 1 OR NOT EXISTS (SELECT 1 FROM servers WHERE server = owner AND lease_until > :now))
ORDER BY job
LIMIT :limit;

-- name: jobHead
SELECT * FROM jobs WHERE job = :job;

-- name: jobInput
SELECT input FROM job_inputs WHERE job = :job;
