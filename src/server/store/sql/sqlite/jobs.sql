-- name: jobInsert
INSERT INTO jobs (
  app, function, deployment, status, max_attempts, created_at, status_since, ttl_s, events_window, last_event
)
VALUES (:app, :function, :deployment, 'queued', :maxAttempts, :now, :now, :ttlS, :eventsWindow, 1)
RETURNING job;

-- name: jobInputInsert
INSERT INTO job_inputs (job, input) VALUES (:job, :input);

-- name: jobBlobInsert
INSERT OR IGNORE INTO job_blobs (job, sha256) VALUES (:job, :sha256);

-- name: jobQueued
-- Jobs that wait in the function's queue, in all deployments of the app.
SELECT coalesce(sum(queued), 0) AS queued FROM job_counts WHERE app = :app AND function = :function;

-- name: jobKeyGet
SELECT job, input_hash, created_at FROM idempotency_keys WHERE app = :app AND function = :function AND key = :key;

-- name: jobKeySet
INSERT INTO idempotency_keys (app, function, key, input_hash, job, created_at)
VALUES (:app, :function, :key, :inputHash, :job, :now)
ON CONFLICT (app, function, key)
DO UPDATE SET input_hash = excluded.input_hash, job = excluded.job, created_at = excluded.created_at;

-- name: jobDue
-- Read from the index alone; left to itself, the planner may take jobs_delayed and sort.
SELECT job FROM jobs INDEXED BY jobs_queue
WHERE status = 'queued' AND deployment = :deployment AND function = :function
  AND (run_after IS NULL OR run_after <= :now)
ORDER BY job
LIMIT :limit;

-- name: jobStart
-- With room in the log for one event.
UPDATE jobs
SET status = 'running', attempt = attempt + 1, fence = fence + 1, replica = :replica, owner = :owner,
    run_after = NULL, started_at = :now, status_since = :now, progress = 0, message = NULL,
    first_event = max(first_event, last_event + 2 - events_window), last_event = last_event + 1
WHERE job = :job
RETURNING *;

-- name: jobRequeue
UPDATE jobs
SET status = 'queued', lost_count = lost_count + :lost, replica = NULL, owner = NULL, run_after = :runAfter,
    started_at = NULL, status_since = :now, progress = 0, message = NULL, first_event = :first, last_event = :last
WHERE job = :job
RETURNING *;

-- name: jobEnd
UPDATE jobs
SET status = :status, error = :error, replica = NULL, owner = NULL, run_after = NULL, finished_at = :now,
    status_since = :now, progress = CASE WHEN :status = 'succeeded' THEN 1 ELSE progress END,
    first_event = :first, last_event = :last
WHERE job = :job
RETURNING *;

-- name: jobInput
SELECT input FROM job_inputs WHERE job = :job;

-- name: jobResultInsert
INSERT INTO job_results (job, result) VALUES (:job, :result);

-- name: jobRequestCancel
UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, :now) WHERE job = :job;

-- name: jobOrphans
SELECT job FROM jobs WHERE status = 'running' AND owner <> :owner ORDER BY job;

-- name: jobHead
SELECT * FROM jobs WHERE job = :job;

-- name: jobGet
SELECT jobs.*, job_inputs.input, job_results.result
FROM jobs
JOIN job_inputs ON job_inputs.job = jobs.job
LEFT JOIN job_results ON job_results.job = jobs.job
WHERE jobs.job = :job;

-- name: jobListAll
SELECT job FROM jobs
WHERE job < :before AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfApp
SELECT job FROM jobs
WHERE app = :app AND job < :before AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfFunction
SELECT job FROM jobs
WHERE app = :app AND function = :function AND job < :before
  AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfFunctionName
SELECT job FROM jobs
WHERE function = :function AND job < :before
  AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobsAhead
-- One range of jobs_queue for each deployment that has jobs of the function.
SELECT count(*) AS ahead
FROM job_counts
JOIN jobs INDEXED BY jobs_queue
  ON jobs.status = 'queued' AND jobs.deployment = job_counts.deployment AND jobs.function = job_counts.function
WHERE job_counts.app = :app AND job_counts.function = :function AND jobs.job < :job;

-- name: jobCounts
SELECT app, deployment, function, queued, running FROM job_counts ORDER BY app, function, deployment;

-- name: jobDelayed
SELECT deployment, function, count(*) AS delayed
FROM jobs
WHERE status = 'queued' AND run_after > :now
GROUP BY deployment, function;

-- name: jobNextDue
SELECT min(run_after) AS due FROM jobs WHERE status = 'queued' AND run_after > :now;

-- name: jobPrune
DELETE FROM jobs
WHERE job IN (
  SELECT job FROM jobs
  WHERE finished_at IS NOT NULL AND finished_at + ttl_s * 1000 < :now
  ORDER BY finished_at + ttl_s * 1000
  LIMIT :limit
);

-- name: jobKeyPrune
DELETE FROM idempotency_keys WHERE created_at <= :before;
