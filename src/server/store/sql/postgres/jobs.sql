-- name: jobNumbers
-- Of jobs that are about to be made: whoever adds to a queue holds its lock, so that they are committed in the order of their numbers.
SELECT nextval(pg_get_serial_sequence('jobs', 'job')) AS job FROM generate_series(1, :count::integer);

-- name: jobInsert
WITH n AS MATERIALIZED (
  SELECT * FROM json_to_recordset(:rows::json) AS given (
    job bigint, queue integer, deployment integer, status text, hold text, priority integer, key text, key_limit integer, input text,
    starts integer, replica text, owner text, started_at bigint, first_event integer, last_event integer,
    max_attempts integer, run_after bigint, expires_at bigint, now bigint, ttl_s double precision, events_window integer,
    events_window_bytes bigint, tail text, parent bigint, retry_of bigint, webhook_url text, traceparent text
  )
), made AS (
  INSERT INTO jobs (
    job, queue, deployment, status, hold, priority, place, concurrency_key, key_limit, input, attempt, fence, replica, owner, started_at,
    max_attempts, run_after, expires_at, created_at, status_since, ttl_s, events_window, events_window_bytes, first_event, last_event, tail,
    parent, retry_of, has_webhook, traceparent
  )
  OVERRIDING SYSTEM VALUE
  SELECT job, queue, deployment, status, hold, priority, job << 20, key, key_limit, input, starts, starts, replica, owner, started_at,
    max_attempts, run_after, expires_at, now, now, ttl_s, events_window, events_window_bytes, first_event, last_event, tail,
    parent, retry_of, webhook_url IS NOT NULL, traceparent
  FROM n
), to_ready AS (
  INSERT INTO ready (deployment, queue, rank, place, job, expires_at)
  SELECT deployment, queue, -priority, job << 20, job, expires_at FROM n WHERE hold IS NULL AND status = 'queued'
), to_running AS (
  INSERT INTO running (job, queue, owner, key) SELECT job, queue, owner, key FROM n WHERE status = 'running'
)
INSERT INTO job_counts (queue, deployment, priority, part, ready, held, running)
SELECT queue, deployment, priority, pg_backend_pid() % 32,
  count(*) FILTER (WHERE hold IS NULL AND status = 'queued'), count(*) FILTER (WHERE hold IS NOT NULL),
  count(*) FILTER (WHERE status = 'running')
FROM n GROUP BY queue, deployment, priority ORDER BY queue, deployment, priority
ON CONFLICT (queue, deployment, priority, part) DO UPDATE
SET ready = job_counts.ready + excluded.ready, held = job_counts.held + excluded.held, running = job_counts.running + excluded.running;

-- name: jobInsertKeys
INSERT INTO idempotency_keys (queue, key, input_hash, job, created_at)
SELECT queue, key, input_hash, job, now
FROM json_to_recordset(:rows::json) AS n (queue integer, key text, input_hash text, job bigint, now bigint)
ON CONFLICT (queue, key)
DO UPDATE SET input_hash = excluded.input_hash, job = excluded.job, created_at = excluded.created_at;

-- name: jobInsertRest
-- What few jobs have.
WITH n AS MATERIALIZED (
  SELECT * FROM json_to_recordset(:rows::json) AS given (
    job bigint, queue integer, deployment integer, status text, hold text, priority integer, key text, run_after bigint, expires_at bigint,
    blobs json, webhook_url text, webhook_host text, webhook_secret text
  )
), to_delayed AS (
  INSERT INTO delayed (run_after, job, queue, deployment)
  SELECT run_after, job, queue, deployment FROM n WHERE hold = 'delay'
), to_waits AS (
  INSERT INTO key_waits (queue, key, rank, job) SELECT queue, key, -priority, job FROM n WHERE hold = 'key'
), to_expiring AS (
  INSERT INTO expiring (expires_at, job) SELECT expires_at, job FROM n WHERE expires_at IS NOT NULL AND status = 'queued'
), to_blobs AS (
  INSERT INTO job_blobs (job, sha256)
  SELECT DISTINCT job, sha256 FROM n CROSS JOIN LATERAL json_array_elements_text(blobs) AS sha256 WHERE blobs IS NOT NULL
)
INSERT INTO webhooks (job, url, host, secret, state)
SELECT job, webhook_url, webhook_host, webhook_secret, 'waiting' FROM n WHERE webhook_url IS NOT NULL;

-- name: jobInsertContext
-- Deployments that are there, of those that jobs are to be made for.
SELECT deployment FROM deployments WHERE deployment = ANY (:deployments::integer[]);

-- name: jobKeysUsed
SELECT queue, key, input_hash, job, created_at FROM idempotency_keys
WHERE (queue, key) IN (SELECT * FROM unnest(:queues::integer[], :keys::text[]));

-- name: jobParents
-- Held so that a parent cannot be cancelled past the child that is being made.
SELECT job, status, cancel_requested_at FROM jobs WHERE job = ANY (:jobs::bigint[]) ORDER BY job FOR SHARE;

-- name: claimState
-- What bounds a claim: whether queues are paused, what runs, and whether delays are over that nobody has ended yet.
SELECT queues.queue, queues.paused, queues.rate_per_ms,
  (SELECT coalesce(sum(running), 0)::integer FROM job_counts WHERE job_counts.queue = queues.queue) AS running,
  EXISTS (SELECT 1 FROM delayed WHERE run_after <= :now) AS delay_over
FROM queues WHERE queue = ANY (:queues::integer[]);

-- name: claimHeads
-- How the first jobs are spread over several queues.
SELECT queue, count(*)::integer AS room
FROM (
  SELECT r.queue
  FROM unnest(:queues::integer[], :rooms::integer[]) AS q (queue, room)
  CROSS JOIN LATERAL (
    SELECT queue, rank, place, job FROM ready
    WHERE ready.deployment = :deployment AND ready.queue = q.queue AND (expires_at IS NULL OR expires_at > :now)
      AND job <> ALL (:except::bigint[])
    ORDER BY rank, place, job LIMIT q.room
  ) AS r
  ORDER BY r.rank, r.place, r.job LIMIT :limit
) AS heads
GROUP BY queue;

-- name: claimNext
SELECT rank, place, job FROM ready
WHERE deployment = :deployment AND queue = :queue AND (expires_at IS NULL OR expires_at > :now) AND job <> ALL (:except::bigint[])
ORDER BY rank, place, job LIMIT 1;

-- name: claimTake
-- Rows that another claim or change holds are passed over.
SELECT jobs.*
FROM unnest(:queues::integer[], :rooms::integer[]) AS q (queue, room)
CROSS JOIN LATERAL (
  SELECT rank, place, job FROM ready
  WHERE ready.deployment = :deployment AND ready.queue = q.queue AND (expires_at IS NULL OR expires_at > :now)
    AND job <> ALL (:except::bigint[])
  ORDER BY rank, place, job LIMIT q.room
  FOR UPDATE SKIP LOCKED
) AS r
JOIN jobs ON jobs.job = r.job
ORDER BY r.rank, r.place, r.job
FOR UPDATE OF jobs SKIP LOCKED;

-- name: rateStarts
-- The newest first.
SELECT at, starts FROM rate_starts WHERE queue = :queue AND at > :after ORDER BY at DESC;

-- name: rateStart
WITH old AS (DELETE FROM rate_starts WHERE queue = :queue AND at <= :before)
INSERT INTO rate_starts (queue, at, starts) VALUES (:queue, :now, :starts)
ON CONFLICT (queue, at) DO UPDATE SET starts = rate_starts.starts + excluded.starts;

-- name: rateGrow
UPDATE queues SET rate_per_ms = :perMs WHERE queue = :queue AND rate_per_ms < :perMs;

-- name: delayOver
-- Those that are to come first at the front.
SELECT jobs.*
FROM (SELECT job FROM delayed WHERE run_after <= :now ORDER BY run_after, job LIMIT :limit) AS d
JOIN jobs ON jobs.job = d.job
ORDER BY -jobs.priority, jobs.job
FOR UPDATE OF jobs SKIP LOCKED;

-- name: jobLock
SELECT * FROM jobs WHERE job = ANY (:jobs::bigint[]) ORDER BY job FOR UPDATE;

-- name: jobWrite
-- Brings rows to their new state, and from the table of the state before (`was`) to that of the new one (`goes`), where it is another.
WITH n AS MATERIALIZED (
  SELECT * FROM json_to_recordset(:rows::json) AS n (
    job bigint, queue integer, deployment integer, status text, hold text, priority integer, place bigint, key text, result text,
    error json, progress double precision, message text, attempt integer, lost_count integer, crash_count integer, fence bigint,
    replica text, owner text, run_after bigint, expires_at bigint, cancel_requested_at bigint, started_at bigint, finished_at bigint,
    status_since bigint, first_event integer, last_event integer, tail text, has_webhook boolean,
    was text, goes text, old_place bigint, old_run_after bigint, prune_at bigint, unexpire boolean, blobs json
  )
), written AS (
  UPDATE jobs SET status = n.status, hold = n.hold, place = n.place, result = coalesce(n.result, jobs.result), error = n.error,
    progress = n.progress, message = n.message, attempt = n.attempt, lost_count = n.lost_count, crash_count = n.crash_count,
    fence = n.fence, replica = n.replica, owner = n.owner, run_after = n.run_after, cancel_requested_at = n.cancel_requested_at,
    started_at = n.started_at, finished_at = n.finished_at, status_since = n.status_since, first_event = n.first_event,
    last_event = n.last_event, tail = n.tail
  FROM n WHERE jobs.job = n.job
), from_ready AS (
  DELETE FROM ready USING n
  WHERE n.was = 'ready' AND ready.deployment = n.deployment AND ready.queue = n.queue AND ready.rank = -n.priority
    AND ready.place = n.old_place AND ready.job = n.job
), from_delayed AS (
  DELETE FROM delayed USING n WHERE n.was = 'delayed' AND delayed.run_after = n.old_run_after AND delayed.job = n.job
), from_waits AS (
  DELETE FROM key_waits USING n
  WHERE n.was = 'waits' AND key_waits.queue = n.queue AND key_waits.key = n.key AND key_waits.rank = -n.priority AND key_waits.job = n.job
), from_running AS (
  DELETE FROM running USING n WHERE n.was = 'running' AND running.job = n.job
), from_expiring AS (
  DELETE FROM expiring USING n WHERE n.unexpire AND expiring.expires_at = n.expires_at AND expiring.job = n.job
), to_ready AS (
  INSERT INTO ready (deployment, queue, rank, place, job, expires_at)
  SELECT deployment, queue, -priority, place, job, CASE WHEN attempt = 0 THEN expires_at END FROM n WHERE goes = 'ready'
), to_delayed AS (
  INSERT INTO delayed (run_after, job, queue, deployment)
  SELECT run_after, job, queue, deployment FROM n WHERE goes = 'delayed'
), to_waits AS (
  INSERT INTO key_waits (queue, key, rank, job) SELECT queue, key, -priority, job FROM n WHERE goes = 'waits'
), to_running AS (
  INSERT INTO running (job, queue, owner, key) SELECT job, queue, owner, key FROM n WHERE goes = 'running'
), to_ended AS (
  INSERT INTO ended (prune_at, job, status) SELECT prune_at, job, status FROM n WHERE goes = 'ended'
), to_webhooks AS (
  UPDATE webhooks SET state = 'due', next_at = n.finished_at FROM n WHERE n.goes = 'ended' AND n.has_webhook AND webhooks.job = n.job
), to_blobs AS (
  INSERT INTO job_blobs (job, sha256)
  SELECT DISTINCT job, sha256 FROM n CROSS JOIN LATERAL json_array_elements_text(blobs) AS sha256 WHERE blobs IS NOT NULL
  ON CONFLICT DO NOTHING
)
INSERT INTO job_counts (queue, deployment, priority, part, ready, held, running)
SELECT queue, deployment, priority, pg_backend_pid() % 32,
  sum((goes = 'ready')::integer - (was = 'ready')::integer),
  sum((goes IN ('delayed', 'waits'))::integer - (was IN ('delayed', 'waits'))::integer),
  sum((goes = 'running')::integer - (was = 'running')::integer)
FROM n WHERE goes IS NOT NULL
GROUP BY queue, deployment, priority ORDER BY queue, deployment, priority
ON CONFLICT (queue, deployment, priority, part) DO UPDATE
SET ready = job_counts.ready + excluded.ready, held = job_counts.held + excluded.held, running = job_counts.running + excluded.running;

-- name: jobSucceed
-- Ends attempts whose rows are still as they are known to be; returns which were. What is asked of a row stands in a CASE since the plan is
-- made once, and the statistics of a table that was empty then would have all jobs read for the few that run.
WITH n AS MATERIALIZED (
  SELECT * FROM json_to_recordset(:rows::json) AS n (
    job bigint, fence bigint, known_event integer, first_event integer, last_event integer, tail text, result text, now bigint, prune_at bigint
  )
), written AS (
  UPDATE jobs SET status = 'succeeded', result = n.result, progress = 1, replica = NULL, owner = NULL, finished_at = n.now,
    status_since = n.now, first_event = n.first_event, last_event = n.last_event, tail = n.tail
  FROM n
  WHERE jobs.job = n.job
    AND CASE
      WHEN jobs.fence = n.fence AND jobs.last_event = n.known_event THEN jobs.status = 'running' AND jobs.cancel_requested_at IS NULL
      ELSE false
    END
  RETURNING jobs.job, jobs.queue, jobs.deployment, jobs.priority, n.prune_at
), from_running AS (
  DELETE FROM running USING written WHERE running.job = written.job
), to_ended AS (
  INSERT INTO ended (prune_at, job, status) SELECT prune_at, job, 'succeeded' FROM written
), counted AS (
  INSERT INTO job_counts (queue, deployment, priority, part, ready, held, running)
  SELECT queue, deployment, priority, pg_backend_pid() % 32, 0, 0, -count(*)
  FROM written GROUP BY queue, deployment, priority ORDER BY queue, deployment, priority
  ON CONFLICT (queue, deployment, priority, part) DO UPDATE SET running = job_counts.running + excluded.running
)
SELECT job FROM written;

-- name: jobNewest
SELECT last_value AS job FROM jobs_job_seq;

-- name: jobChildren
SELECT job, status IN ('queued', 'running') AS active FROM jobs WHERE parent = ANY (:parents::bigint[]) ORDER BY job;

-- name: jobActive
-- Queued and running jobs that a filter takes, oldest first.
SELECT jobs.job
FROM (
  SELECT job FROM ready UNION ALL SELECT job FROM delayed UNION ALL SELECT job FROM key_waits UNION ALL SELECT job FROM running
) AS active
JOIN jobs ON jobs.job = active.job
WHERE active.job > :after
  AND (:queues::integer[] IS NULL OR jobs.queue = ANY (:queues))
  AND (:status::text[] IS NULL OR jobs.status = ANY (:status))
  AND (:key::text IS NULL OR jobs.concurrency_key = :key)
  AND (:parent::bigint IS NULL OR jobs.parent = :parent)
ORDER BY jobs.job
LIMIT :limit;

-- name: jobExpiring
SELECT job FROM expiring WHERE expires_at <= :now ORDER BY expires_at, job LIMIT :limit;

-- name: jobOrphans
-- Running jobs whose server has no lease, or is not the given one.
SELECT job FROM running
WHERE owner <> :server
  AND (:all::boolean OR NOT EXISTS (SELECT 1 FROM servers WHERE server = running.owner AND lease_until > :now))
ORDER BY job
LIMIT :limit;

-- name: jobGet
SELECT * FROM jobs WHERE job = :job;

-- name: jobsGet
SELECT * FROM jobs WHERE job = ANY (:jobs::bigint[]) ORDER BY job;

-- name: jobListAll
SELECT * FROM jobs
WHERE job < :before AND (:status::text[] IS NULL OR status = ANY (:status))
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfQueues
SELECT jobs.*
FROM unnest(:queues::integer[]) AS q (queue)
CROSS JOIN LATERAL (
  SELECT * FROM jobs
  WHERE jobs.queue = q.queue AND job < :before AND (:status::text[] IS NULL OR status = ANY (:status))
  ORDER BY job DESC LIMIT :limit
) AS jobs
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfKey
SELECT jobs.*
FROM unnest(:queues::integer[]) AS q (queue)
CROSS JOIN LATERAL (
  SELECT * FROM jobs
  WHERE jobs.queue = q.queue AND concurrency_key = :key AND job < :before
    AND (:status::text[] IS NULL OR status = ANY (:status)) AND (:parent::bigint IS NULL OR parent = :parent)
  ORDER BY job DESC LIMIT :limit
) AS jobs
ORDER BY job DESC LIMIT :limit;

-- name: jobListOfParent
SELECT * FROM jobs
WHERE parent = :parent AND job < :before
  AND (:status::text[] IS NULL OR status = ANY (:status))
  AND (:queues::integer[] IS NULL OR queue = ANY (:queues))
ORDER BY job DESC LIMIT :limit;

-- name: jobListRunning
SELECT jobs.*
FROM (
  SELECT job FROM running
  WHERE job < :before AND (:queues::integer[] IS NULL OR queue = ANY (:queues))
  ORDER BY job DESC LIMIT :limit
) AS r
JOIN jobs ON jobs.job = r.job
ORDER BY jobs.job DESC;

-- name: jobListUnsuccessful
SELECT jobs.*
FROM ended JOIN jobs ON jobs.job = ended.job
WHERE ended.status <> 'succeeded' AND ended.status = :status AND ended.job < :before
  AND (:queues::integer[] IS NULL OR jobs.queue = ANY (:queues))
ORDER BY ended.job DESC LIMIT :limit;

-- name: jobsAhead
-- One range of `ready` for each deployment that has jobs of the queue.
SELECT (
  SELECT coalesce(sum(ready), 0) FROM job_counts WHERE queue = :queue AND -priority < :rank
) + (
  SELECT count(*)
  FROM (SELECT DISTINCT deployment FROM job_counts WHERE queue = :queue) AS d
  JOIN ready ON ready.deployment = d.deployment AND ready.queue = :queue AND ready.rank = :rank
  WHERE (ready.place, ready.job) < (:place::bigint, :job::bigint)
) AS ahead;

-- name: jobsReady
-- Those that a job which is parked would stand behind.
SELECT coalesce(sum(ready), 0) AS ready FROM job_counts WHERE queue = :queue AND -priority <= :rank;

-- name: jobNextDue
SELECT least(
  (SELECT min(run_after) FROM delayed WHERE run_after > :now),
  (SELECT min(expires_at) FROM expiring WHERE expires_at > :now)
) AS due;

-- name: jobPrune
WITH gone AS (
  DELETE FROM ended
  WHERE (prune_at, job) IN (
    SELECT prune_at, job FROM ended
    WHERE prune_at < :now AND NOT EXISTS (SELECT 1 FROM webhooks WHERE webhooks.job = ended.job AND state = 'due')
    ORDER BY prune_at, job
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
  )
  RETURNING job
),
  no_segments AS (DELETE FROM event_segments USING gone WHERE event_segments.job = gone.job),
  no_blobs AS (DELETE FROM job_blobs USING gone WHERE job_blobs.job = gone.job),
  no_webhooks AS (DELETE FROM webhooks USING gone WHERE webhooks.job = gone.job)
DELETE FROM jobs USING gone WHERE jobs.job = gone.job
RETURNING jobs.job;

-- name: keyPrune
DELETE FROM idempotency_keys WHERE created_at <= :before;

-- name: countPrune
-- Parts that add up to nothing, of deployments that are not live. They are locked first: what is added meanwhile makes a new row.
WITH parts AS (
  SELECT queue, deployment, priority, part, ready, held, running FROM job_counts
  WHERE NOT EXISTS (SELECT 1 FROM deployments WHERE deployments.deployment = job_counts.deployment AND status = 'live')
  ORDER BY queue, deployment, priority, part
  FOR UPDATE SKIP LOCKED
), nothing AS (
  SELECT queue, deployment, priority FROM parts GROUP BY queue, deployment, priority
  HAVING sum(ready) = 0 AND sum(held) = 0 AND sum(running) = 0
    AND count(*) = (
      SELECT count(*) FROM job_counts c
      WHERE c.queue = parts.queue AND c.deployment = parts.deployment AND c.priority = parts.priority
    )
)
DELETE FROM job_counts USING nothing
WHERE job_counts.queue = nothing.queue AND job_counts.deployment = nothing.deployment AND job_counts.priority = nothing.priority;

-- name: writerPrune
-- No transaction lasts that long.
DELETE FROM writers WHERE opened_at < now() - interval '7 days';
