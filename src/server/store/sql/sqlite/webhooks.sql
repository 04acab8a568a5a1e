-- name: webhookInsert
INSERT INTO webhooks (job, url, host, secret) VALUES (:job, :url, :host, :secret);

-- name: webhookDue
UPDATE webhooks SET state = 'due', next_at = :now WHERE job = :job AND state = 'waiting';

-- name: webhookClaimable
SELECT job FROM webhooks INDEXED BY webhooks_due
WHERE state = 'due' AND next_at <= :now AND host NOT IN (SELECT value FROM json_each(:exceptHosts))
ORDER BY next_at, job
LIMIT :limit;

-- name: webhookStart
UPDATE webhooks SET attempts = attempts + 1, next_at = :until WHERE job = :job RETURNING url, secret, attempts;

-- name: webhookFinish
UPDATE webhooks SET state = :state, error = :error, next_at = :retryAt
WHERE job = :job AND state = 'due' AND attempts = :attempt;

-- name: webhookAgain
UPDATE webhooks SET state = 'due', next_at = :now WHERE job = :job AND state <> 'waiting';

-- name: webhookGet
SELECT url, secret, state, attempts, error, next_at FROM webhooks WHERE job = :job;

-- name: webhookNext
SELECT min(next_at) AS next FROM webhooks INDEXED BY webhooks_due
WHERE state = 'due' AND host NOT IN (SELECT value FROM json_each(:exceptHosts));
