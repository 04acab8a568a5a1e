-- name: queuesOf
-- The queues of functions of a deployment, as far as they have been used.
SELECT queues.queue, queues.app, queues.function
FROM deployments
JOIN queues ON queues.app = deployments.app AND queues.function = ANY (:functions::text[])
WHERE deployments.deployment = :deployment;

-- name: queueMake
-- For the functions of an app that is there. Again, should another have been first.
INSERT INTO queues (app, function)
SELECT app, function FROM deployments CROSS JOIN unnest(:functions::text[]) AS function
WHERE deployment = :deployment
ORDER BY function
ON CONFLICT (app, function) DO NOTHING;

-- name: queueNames
SELECT queue, app, function FROM queues WHERE queue = ANY (:queues::integer[]);

-- name: queueState
-- What an insertion must know of queues: it holds their locks, so that nobody else adds to them.
SELECT queues.queue, queues.paused, counts.priority, counts.queued, counts.ready, counts.running
FROM queues
LEFT JOIN LATERAL (
  SELECT priority, sum(ready + held)::integer AS queued, sum(ready)::integer AS ready, sum(running)::integer AS running
  FROM job_counts WHERE job_counts.queue = queues.queue
  GROUP BY priority
) AS counts ON true
WHERE queues.queue = ANY (:queues::integer[]);

-- name: queueList
SELECT queues.app, queues.function, queues.paused,
  coalesce(sum(ready + held), 0)::integer AS queued, coalesce(sum(running), 0)::integer AS running
FROM queues LEFT JOIN job_counts USING (queue)
WHERE :app::text IS NULL OR queues.app = :app
GROUP BY queues.queue
HAVING queues.paused OR sum(ready + held + running) > 0
ORDER BY queues.app, queues.function;

-- name: queueAdd
INSERT INTO queues (app, function) VALUES (:app, :function) ON CONFLICT (app, function) DO NOTHING;

-- name: queuePause
UPDATE queues SET paused = :paused WHERE app = :app AND function = :function;

-- name: queueDeployments
SELECT DISTINCT job_counts.deployment
FROM queues JOIN job_counts USING (queue)
WHERE queues.app = :app AND queues.function = :function;

-- name: queueGet
SELECT queue, paused,
  (SELECT coalesce(sum(ready + held), 0)::integer FROM job_counts WHERE job_counts.queue = queues.queue) AS queued,
  (SELECT coalesce(sum(running), 0)::integer FROM job_counts WHERE job_counts.queue = queues.queue) AS running
FROM queues WHERE app = :app AND function = :function;

-- name: queueIds
-- The queues that a filter takes.
SELECT queue FROM queues
WHERE (:app::text IS NULL OR app = :app) AND (:function::text IS NULL OR function = :function)
ORDER BY queue;

-- name: delayedAny
SELECT 1 AS due FROM delayed WHERE run_after <= :now LIMIT 1;

-- name: jobCounts
-- Jobs that have expired are not claimed any more.
SELECT queues.app, counts.deployment, queues.function, counts.queued, counts.running,
  CASE WHEN queues.paused THEN 0 ELSE counts.ready - coalesce(late.due, 0) END AS due
FROM (
  SELECT queue, deployment, sum(ready)::integer AS ready, sum(ready + held)::integer AS queued, sum(running)::integer AS running
  FROM job_counts GROUP BY queue, deployment
  HAVING sum(ready + held) > 0 OR sum(running) > 0
) AS counts
JOIN queues USING (queue)
LEFT JOIN (
  SELECT jobs.queue, jobs.deployment, count(*)::integer AS due
  FROM expiring JOIN jobs ON jobs.job = expiring.job
  WHERE expiring.expires_at <= :now AND jobs.hold IS NULL
  GROUP BY jobs.queue, jobs.deployment
) AS late USING (queue, deployment)
ORDER BY queues.app, queues.function, counts.deployment;

-- name: keyLock
-- The keys of these pairs, made where they are missing.
INSERT INTO concurrency_keys (queue, key, active, parked)
SELECT queue, key, 0, 0 FROM unnest(:queues::integer[], :keys::text[]) AS k (queue, key)
ORDER BY queue, key
ON CONFLICT (queue, key) DO UPDATE SET active = concurrency_keys.active
RETURNING queue, key, active, parked;

-- name: keyWrite
UPDATE concurrency_keys SET active = n.active, parked = n.parked
FROM json_to_recordset(:rows::json) AS n (queue integer, key text, active integer, parked integer)
WHERE concurrency_keys.queue = n.queue AND concurrency_keys.key = n.key;

-- name: keyClean
DELETE FROM concurrency_keys USING unnest(:queues::integer[], :keys::text[]) AS k (queue, key)
WHERE concurrency_keys.queue = k.queue AND concurrency_keys.key = k.key AND active = 0 AND parked = 0;

-- name: keyNext
-- The jobs of a key that would start next; those that another is changing just now are passed over.
SELECT jobs.*
FROM (
  SELECT job FROM key_waits WHERE queue = :queue AND key = :key AND job <> ALL (:except::bigint[])
  ORDER BY rank, job LIMIT :limit
) AS waits
JOIN jobs ON jobs.job = waits.job
ORDER BY -jobs.priority, jobs.job
FOR UPDATE OF jobs SKIP LOCKED;

-- name: keyHead
-- The job that the key's next room is for.
SELECT rank, job FROM key_waits WHERE queue = :queue AND key = :key ORDER BY rank, job LIMIT 1;

-- name: readyLast
SELECT max(place) AS place FROM ready WHERE deployment = :deployment AND queue = :queue AND rank = :rank;

-- name: keyList
SELECT key, sum(queued)::integer AS queued, sum(running)::integer AS running,
  (SELECT key_limit FROM jobs WHERE queue = :queue AND jobs.concurrency_key = active.key ORDER BY job DESC LIMIT 1) AS key_limit
FROM (
  SELECT key, 0 AS queued, 1 AS running FROM running WHERE queue = :queue AND key IS NOT NULL
  UNION ALL
  SELECT key, 1, 0 FROM key_waits WHERE queue = :queue
  UNION ALL
  SELECT jobs.concurrency_key, 1, 0 FROM delayed JOIN jobs ON jobs.job = delayed.job
  WHERE delayed.queue = :queue AND jobs.concurrency_key IS NOT NULL
  UNION ALL
  SELECT jobs.concurrency_key, 1, 0 FROM (SELECT DISTINCT deployment FROM job_counts WHERE queue = :queue) AS d
  JOIN ready ON ready.deployment = d.deployment AND ready.queue = :queue
  JOIN jobs ON jobs.job = ready.job
  WHERE jobs.concurrency_key IS NOT NULL
) AS active
WHERE :after::text IS NULL OR key > :after
GROUP BY key
ORDER BY key
LIMIT :limit;
