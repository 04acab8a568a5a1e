-- name: queueGet
SELECT queue, app, function, paused FROM queues WHERE app = :app AND function = :function;

-- name: queueName
SELECT app, function FROM queues WHERE queue = :queue;

-- name: queueInsert
INSERT INTO queues (app, function) VALUES (:app, :function) RETURNING queue;

-- name: queuePause
INSERT INTO queues (app, function, paused) VALUES (:app, :function, :paused)
ON CONFLICT (app, function) DO UPDATE SET paused = excluded.paused
RETURNING queue;

-- name: queueList
SELECT app, function, paused, coalesce(sum(queued), 0) AS queued, coalesce(sum(running), 0) AS running
FROM queues LEFT JOIN job_counts USING (queue)
WHERE :app IS NULL OR app = :app
GROUP BY queue
HAVING paused = 1 OR sum(queued) > 0 OR sum(running) > 0
ORDER BY app, function;

-- name: queueState
SELECT app, function, paused, coalesce(sum(queued), 0) AS queued, coalesce(sum(running), 0) AS running
FROM queues LEFT JOIN job_counts USING (queue)
WHERE queue = :queue;

-- name: queueOfList
-- The queues that a filter takes.
SELECT queue, app, function FROM queues
WHERE (:app IS NULL OR app = :app) AND (:function IS NULL OR function = :function)
ORDER BY queue;

-- name: queueHead
-- What an insertion must know, in one statement: a row for each count of the queue, or one without where there is none.
SELECT queues.queue, paused, priority, queued, ready, running,
  (SELECT app FROM deployments WHERE deployment = :deployment) AS app,
  (SELECT seq FROM sqlite_sequence WHERE name = 'jobs') AS newest
FROM (SELECT 1)
LEFT JOIN queues ON queues.app = :app AND queues.function = :function
LEFT JOIN job_counts ON job_counts.queue = queues.queue;

-- name: queueClaim
-- What a claim must know of its function's queue.
SELECT queue, paused, rate_per_ms, (SELECT coalesce(sum(running), 0) FROM job_counts WHERE job_counts.queue = queues.queue) AS running
FROM queues
WHERE app = (SELECT app FROM deployments WHERE deployment = :deployment) AND function = :function;

-- name: jobCounts
-- Jobs that have expired are not claimed any more.
SELECT app, deployment, function, sum(queued) AS queued, sum(running) AS running,
  CASE paused WHEN 1 THEN 0 ELSE
    sum(ready) - (
      SELECT count(*) FROM jobs INDEXED BY jobs_expiring
      WHERE status = 'queued' AND attempt = 0 AND expires_at <= :now AND hold IS NULL
        AND jobs.queue = job_counts.queue AND jobs.deployment = job_counts.deployment
    )
  END AS due
FROM job_counts JOIN queues USING (queue)
GROUP BY queue, deployment
HAVING sum(queued) > 0 OR sum(running) > 0
ORDER BY app, function, deployment;

-- name: rateGrow
UPDATE queues SET rate_per_ms = :perMs WHERE queue = :queue AND rate_per_ms < :perMs;

-- name: rateStarted
SELECT coalesce(sum(starts), 0) AS started FROM rate_starts WHERE queue = :queue AND at > :after;

-- name: rateStarts
-- The newest first.
SELECT at, starts FROM rate_starts WHERE queue = :queue AND at > :after ORDER BY at DESC;

-- name: rateStart
INSERT INTO rate_starts (queue, at, starts) VALUES (:queue, :now, :starts)
ON CONFLICT (queue, at) DO UPDATE SET starts = starts + excluded.starts;

-- name: ratePrune
DELETE FROM rate_starts WHERE queue = :queue AND at <= :before;
