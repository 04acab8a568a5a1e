-- name: keyGet
SELECT ready + running AS active, parked FROM concurrency_keys WHERE queue = :queue AND key = :key;

-- name: keyHead
-- The job that the key's next room is for.
SELECT job, deployment, priority, key_limit FROM jobs INDEXED BY jobs_parked
WHERE hold = 'key' AND queue = :queue AND concurrency_key = :key
ORDER BY priority DESC, job
LIMIT 1;

-- name: keyListFirst
SELECT key, queued, running, key_limit AS "limit" FROM concurrency_keys WHERE queue = :queue ORDER BY key LIMIT :limit;

-- name: keyListAfter
SELECT key, queued, running, key_limit AS "limit" FROM concurrency_keys
WHERE queue = :queue AND key > :after
ORDER BY key LIMIT :limit;

-- name: delayedDue
-- With those that are to come first at the front.
SELECT job, queue, priority, concurrency_key, key_limit FROM jobs INDEXED BY jobs_delayed
WHERE hold = 'delay' AND run_after <= :now AND concurrency_key IS NOT NULL
ORDER BY priority DESC, job
LIMIT :limit;

-- name: delayedAny
SELECT 1 AS due FROM jobs INDEXED BY jobs_delayed WHERE hold = 'delay' AND run_after <= :now LIMIT 1;

-- name: delayedRelease
-- Those without a key, all at once.
UPDATE jobs SET hold = NULL
WHERE job IN (
  SELECT job FROM jobs INDEXED BY jobs_delayed
  WHERE hold = 'delay' AND run_after <= :now AND concurrency_key IS NULL
  ORDER BY run_after
  LIMIT :limit
);

-- name: readyLast
-- The place of the last of those that are ready.
SELECT place FROM jobs INDEXED BY jobs_ready
WHERE status = 'queued' AND hold IS NULL AND queue = :queue AND deployment = :deployment AND priority = :priority
ORDER BY place DESC
LIMIT 1;

-- name: jobHold
UPDATE jobs SET hold = :hold, place = coalesce(:place, place) WHERE job = :job;

-- name: jobUndelay
UPDATE jobs SET hold = :hold, run_after = NULL WHERE job = :job;
