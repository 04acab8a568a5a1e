-- name: webhookTake
WITH due AS (
  SELECT job, next_at AS due_at FROM webhooks
  WHERE state = 'due' AND next_at <= :now AND host <> ALL (:exceptHosts::text[])
  ORDER BY next_at, job LIMIT :limit
  FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE webhooks SET attempts = attempts + 1, next_at = :leaseUntil FROM due WHERE webhooks.job = due.job
  RETURNING webhooks.job, url, secret, attempts, due.due_at
)
SELECT job, url, secret, attempts FROM taken ORDER BY due_at, job;

-- name: webhookFinish
-- Of the attempt that is under way only.
UPDATE webhooks
SET state = CASE WHEN :retryAt::bigint IS NOT NULL THEN 'due' WHEN :error::text IS NULL THEN 'delivered' ELSE 'failed' END,
    next_at = :retryAt, error = :error
WHERE job = :job AND attempts = :attempt AND state = 'due';

-- name: webhookAgain
UPDATE webhooks SET state = 'due', next_at = :now WHERE job = :job AND state <> 'waiting';

-- name: webhookGet
SELECT url, secret, state, attempts, error, next_at FROM webhooks WHERE job = :job;

-- name: webhookNext
SELECT min(next_at) AS next_at FROM webhooks WHERE state = 'due' AND host <> ALL (:exceptHosts::text[]);
