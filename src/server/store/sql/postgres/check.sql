-- Each answers with one `problem` for each thing that is wrong.

-- name: checkCounts
SELECT 'the count of queue ' || queue || ' in deployments:' || deployment || ' is ' || sum(ready) || ' ready, ' || sum(held)
  || ' held and ' || sum(running) || ' running too many' AS problem
FROM (
  SELECT queue, deployment, ready, held, running FROM job_counts
  UNION ALL
  SELECT queue, deployment, -(status = 'queued' AND hold IS NULL)::integer, -(hold IS NOT NULL)::integer, -(status = 'running')::integer
  FROM jobs WHERE status IN ('queued', 'running')
) AS s
GROUP BY queue, deployment
HAVING sum(ready) <> 0 OR sum(held) <> 0 OR sum(running) <> 0;

-- name: checkPlaces
-- Every job stands in the table of its state, and in no other.
WITH expected AS (
  SELECT job, CASE
    WHEN status = 'running' THEN 'running'
    WHEN status <> 'queued' THEN 'ended'
    WHEN hold = 'delay' THEN 'delayed'
    WHEN hold = 'key' THEN 'key_waits'
    ELSE 'ready'
  END AS place
  FROM jobs
), actual AS (
  SELECT job, 'ready' AS place FROM ready
  UNION ALL SELECT job, 'delayed' FROM delayed
  UNION ALL SELECT job, 'key_waits' FROM key_waits
  UNION ALL SELECT job, 'running' FROM running
  UNION ALL SELECT job, 'ended' FROM ended
)
SELECT 'jobs:' || job || ' should be in ' || coalesce(expected.place, 'no table') || ' and is in ' || coalesce(actual.place, 'none') AS problem
FROM expected FULL JOIN actual USING (job, place)
WHERE expected.place IS NULL OR actual.place IS NULL;

-- name: checkKeys
SELECT 'the key ' || key || ' of queue ' || queue || ' counts ' || sum(active) || ' active and ' || sum(parked) || ' parked too many' AS problem
FROM (
  SELECT queue, key, active, parked FROM concurrency_keys
  UNION ALL
  SELECT queue, concurrency_key, -(status = 'running' OR hold IS NULL)::integer, -(hold IS NOT DISTINCT FROM 'key')::integer FROM jobs
  WHERE concurrency_key IS NOT NULL AND status IN ('queued', 'running')
) AS s
GROUP BY queue, key
HAVING sum(active) <> 0 OR sum(parked) <> 0;

-- name: checkSegments
SELECT 'jobs:' || jobs.job || ' should hold the events ' || first_event || ' to ' || last_event || ', and its segments end at '
  || coalesce(max(s.last), 0) || ' with ' || coalesce(sum(s.last - s.first + 1), 0) || ' from ' || coalesce(min(s.first), 0) AS problem
FROM jobs
CROSS JOIN LATERAL (SELECT length(tail) - length(replace(tail, E'\n', '')) AS lines) AS t
LEFT JOIN event_segments s ON s.job = jobs.job
GROUP BY jobs.job, t.lines
HAVING CASE
  WHEN last_event - t.lines < first_event THEN count(s.job) > 0
  ELSE count(s.job) = 0 OR max(s.last) <> last_event - t.lines OR min(s.first) > first_event
    OR sum(s.last - s.first + 1) <> max(s.last) - min(s.first) + 1
END;

-- name: checkSealed
-- A segment holds as many lines as its numbers say.
SELECT 'the segment ' || first || ' to ' || last || ' of jobs:' || job || ' holds another number of events' AS problem
FROM event_segments
WHERE length(lines) - length(replace(lines, E'\n', '')) <> last - first + 1;

-- name: checkEnds
SELECT 'jobs:' || jobs.job || ' is ' || status || ', and its last event is ' || newest.event AS problem
FROM jobs
CROSS JOIN LATERAL (
  SELECT split_part(split_part(
    CASE WHEN tail <> '' THEN tail ELSE coalesce((SELECT lines FROM event_segments s WHERE s.job = jobs.job ORDER BY last DESC LIMIT 1), '') END,
    E'\n', -2), ' ', 1) AS event
) AS newest
WHERE (status NOT IN ('queued', 'running')) <> (newest.event = 'job.end');

-- name: checkOwners
SELECT 'jobs:' || job || ' is of deployments:' || jobs.deployment || ', which does not exist' AS problem
FROM jobs WHERE NOT EXISTS (SELECT 1 FROM deployments WHERE deployments.deployment = jobs.deployment)
UNION ALL
SELECT 'jobs:' || job || ' is of queue ' || jobs.queue || ', which does not exist'
FROM jobs WHERE NOT EXISTS (SELECT 1 FROM queues WHERE queues.queue = jobs.queue)
UNION ALL
SELECT 'events of jobs:' || job || ', which does not exist'
FROM event_segments WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.job = event_segments.job);
