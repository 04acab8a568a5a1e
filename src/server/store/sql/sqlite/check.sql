-- Each answers with one `problem` for each thing that is wrong.

-- name: checkCounts
SELECT 'the counts of ' || coalesce(app || '/' || function, 'queue ' || queue) || ' in deployments:' || deployment || ' at priority ' || priority
  || ' are off by ' || sum(queued) || ' queued, ' || sum(ready) || ' ready, ' || sum(parked) || ' waiting for a key, ' || sum(running)
  || ' running' AS problem
FROM (
  SELECT queue, deployment, priority, queued, ready, parked, running FROM job_counts
  UNION ALL
  SELECT queue, deployment, priority, -(status = 'queued'), -(status = 'queued' AND hold IS NULL), -(hold IS 'key'), -(status = 'running')
  FROM jobs WHERE status IN ('queued', 'running')
)
LEFT JOIN queues USING (queue)
GROUP BY queue, deployment, priority
HAVING sum(queued) <> 0 OR sum(ready) <> 0 OR sum(parked) <> 0 OR sum(running) <> 0;

-- name: checkKeys
SELECT 'the counts of the concurrency key ' || key || ' of queue ' || queue || ' are off by ' || sum(queued) || ' queued, ' || sum(ready)
  || ' ready, ' || sum(parked) || ' waiting, ' || sum(running) || ' running' AS problem
FROM (
  SELECT queue, key, queued, ready, parked, running FROM concurrency_keys
  UNION ALL
  SELECT queue, concurrency_key, -(status = 'queued'), -(status = 'queued' AND hold IS NULL), -(hold IS 'key'), -(status = 'running')
  FROM jobs WHERE status IN ('queued', 'running') AND concurrency_key IS NOT NULL
)
GROUP BY queue, key
HAVING sum(queued) <> 0 OR sum(ready) <> 0 OR sum(parked) <> 0 OR sum(running) <> 0;

-- name: checkKeyRoom
-- The head of those that wait fits into the room that is left.
SELECT 'jobs:' || job || ' waits for its concurrency key ' || key || ', which has room' AS problem
FROM (
  SELECT job, key, ready + running AS active, jobs.key_limit AS job_limit,
    row_number() OVER (PARTITION BY queue, key ORDER BY jobs.priority DESC, jobs.job) AS nth
  FROM concurrency_keys JOIN jobs USING (queue)
  WHERE hold = 'key' AND concurrency_key = key
)
WHERE nth = 1 AND active < job_limit;

-- name: checkLogs
SELECT 'jobs:' || job || ' should hold the events ' || tail_first || ' to ' || last_event || ' in its row, and holds '
  || (length(log) - length(replace(log, char(10), ''))) AS problem
FROM jobs
WHERE length(log) - length(replace(log, char(10), '')) <> last_event - tail_first + 1
UNION ALL
SELECT 'jobs:' || job || ' should hold the events ' || first_event || ' to ' || (tail_first - 1) || ' in segments, and holds ' || sum(last - first + 1)
  || ' of ' || min(first) || ' to ' || max(last) || ' in ' || sum(bytes) || ' bytes of ' || segment_bytes
FROM jobs JOIN event_segments USING (job)
GROUP BY job
HAVING min(first) > first_event OR max(last) <> tail_first - 1 OR sum(last - first + 1) <> max(last) - min(first) + 1 OR sum(bytes) <> segment_bytes
UNION ALL
SELECT 'jobs:' || job || ' should hold the events ' || first_event || ' to ' || (tail_first - 1) || ' in segments, and has none'
FROM jobs
WHERE (first_event < tail_first OR segment_bytes <> 0)
  AND NOT EXISTS (SELECT 1 FROM event_segments WHERE event_segments.job = jobs.job);

-- name: checkSegments
SELECT 'the segment from ' || first || ' of jobs:' || job || ' should hold the events to ' || last || ', and holds '
  || (length(data) - length(replace(data, char(10), ''))) AS problem
FROM event_segments
WHERE length(data) - length(replace(data, char(10), '')) <> last - first + 1;

-- name: checkEnds
-- The last line of a log ends it exactly where the job has ended.
SELECT 'jobs:' || job || ' is ' || status || ', and the end of its log says otherwise' AS problem
FROM (
  SELECT job, status, char(10) || iif(log <> '', log, (
    SELECT data FROM event_segments WHERE event_segments.job = jobs.job ORDER BY first DESC LIMIT 1
  )) AS log
  FROM jobs
)
WHERE (status NOT IN ('queued', 'running')) <> (coalesce(instr(log, char(10) || 'job.end {'), 0) > 0);

-- name: checkInputs
SELECT 'jobs:' || job || ' has no input' AS problem
FROM jobs
WHERE input IS NULL AND NOT EXISTS (SELECT 1 FROM job_inputs WHERE job_inputs.job = jobs.job);

-- name: checkQueues
SELECT 'jobs:' || job || ' is of queue ' || queue || ', which does not exist' AS problem
FROM jobs WHERE queue NOT IN (SELECT queue FROM queues)
UNION ALL
SELECT 'jobs:' || job || ' is of deployments:' || deployment || ', which does not exist'
FROM jobs WHERE deployment NOT IN (SELECT deployment FROM deployments);

-- name: checkWebhooks
SELECT 'jobs:' || job || ' is ' || status || ', and its webhook is ' || coalesce(state, 'missing') AS problem
FROM jobs LEFT JOIN webhooks USING (job)
WHERE (webhook = 1) <> (state IS NOT NULL) OR (status IN ('queued', 'running')) <> (coalesce(state, status) IN ('waiting', 'queued', 'running'));
