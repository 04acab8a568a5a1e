-- What is known of jobs.

-- name: jobListAll
SELECT job FROM jobs
WHERE job < :before AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListRunning
SELECT job FROM jobs INDEXED BY jobs_running
WHERE status = 'running' AND job < :before AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListEnded
SELECT job FROM jobs INDEXED BY jobs_by_end
WHERE finished_at IS NOT NULL AND status = :status AND job < :before
  AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListQueued
-- For few: it sorts them all.
SELECT job
FROM (
  SELECT job, queue FROM jobs INDEXED BY jobs_ready WHERE status = 'queued' AND hold IS NULL
  UNION ALL
  SELECT job, queue FROM jobs INDEXED BY jobs_delayed WHERE hold = 'delay'
  UNION ALL
  SELECT job, queue FROM jobs INDEXED BY jobs_parked WHERE hold = 'key'
)
WHERE job < :before AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
ORDER BY job DESC LIMIT :limit;

-- name: jobsQueued
SELECT coalesce(sum(queued), 0) AS queued FROM job_counts;

-- name: jobListOfQueue
SELECT job FROM jobs INDEXED BY jobs_queue
WHERE queue = :queue AND job < :before AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfKey
SELECT job FROM jobs INDEXED BY jobs_key
WHERE queue = :queue AND concurrency_key = :key AND job < :before
  AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfParent
SELECT job FROM jobs INDEXED BY jobs_parent
WHERE parent = :parent AND job < :before
  AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
  AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
  AND (:key IS NULL OR concurrency_key = :key)
ORDER BY job DESC LIMIT :limit;

-- name: jobActiveFrom
-- A stretch of all jobs, of which `wanted` says whether the filter takes them.
SELECT job,
  status IN ('queued', 'running') AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
    AND (:queues IS NULL OR queue IN (SELECT value FROM json_each(:queues)))
    AND (:key IS NULL OR concurrency_key = :key) AND (:parent IS NULL OR parent = :parent) AS wanted
FROM jobs
WHERE job > :after
ORDER BY job LIMIT :limit;

-- name: jobActiveOfQueue
SELECT job,
  status IN ('queued', 'running') AND (:status IS NULL OR status IN (SELECT value FROM json_each(:status)))
    AND (:key IS NULL OR concurrency_key = :key) AND (:parent IS NULL OR parent = :parent) AS wanted
FROM jobs INDEXED BY jobs_queue
WHERE queue = :queue AND job > :after
ORDER BY job LIMIT :limit;

-- name: jobsSame
-- How many are ready that start sooner by their priority, and how many of the same; and where these begin.
SELECT coalesce(sum(ready) FILTER (WHERE priority > :priority), 0) AS higher, coalesce(sum(ready) FILTER (WHERE priority = :priority), 0) AS same, (
    SELECT place FROM jobs INDEXED BY jobs_ready
    WHERE status = 'queued' AND hold IS NULL AND queue = :queue AND deployment = :deployment AND priority = :priority
    ORDER BY place LIMIT 1
  ) AS first
FROM job_counts WHERE queue = :queue;

-- name: jobsAhead
-- Of one priority: one range of jobs_ready for each deployment that has jobs of the queue.
SELECT count(*) AS jobs
FROM (SELECT DISTINCT deployment FROM job_counts WHERE queue = :queue) AS counts
JOIN jobs INDEXED BY jobs_ready ON status = 'queued' AND hold IS NULL AND jobs.queue = :queue AND jobs.deployment = counts.deployment
WHERE jobs.priority = :priority AND (jobs.place, jobs.job) < (:place, :job);

-- name: jobsBehind
SELECT count(*) AS jobs
FROM (SELECT DISTINCT deployment FROM job_counts WHERE queue = :queue) AS counts
JOIN jobs INDEXED BY jobs_ready ON status = 'queued' AND hold IS NULL AND jobs.queue = :queue AND jobs.deployment = counts.deployment
WHERE jobs.priority = :priority AND (jobs.place, jobs.job) > (:place, :job);

-- name: jobsReady
-- Those that a job which is parked would stand behind.
SELECT coalesce(sum(ready), 0) AS ready FROM job_counts WHERE queue = :queue AND priority >= :priority;

-- name: jobNextDue
SELECT min(due) AS due FROM (
  SELECT (SELECT min(run_after) FROM jobs INDEXED BY jobs_delayed WHERE hold = 'delay' AND run_after > :now) AS due
  UNION ALL
  SELECT (
    SELECT min(expires_at) FROM jobs INDEXED BY jobs_expiring
    WHERE status = 'queued' AND attempt = 0 AND expires_at IS NOT NULL AND expires_at > :now
  )
);
