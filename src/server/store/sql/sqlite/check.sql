-- Each answers with one `problem` for each thing that is wrong.

-- name: checkCounts
SELECT 'the count of ' || app || '/' || function || ' in deployments:' || deployment || ' is ' || sum(queued) || ' queued and '
  || sum(running) || ' running too many' AS problem
FROM (
  SELECT app, function, deployment, queued, running FROM job_counts
  UNION ALL
  SELECT app, function, deployment, -(status = 'queued'), -(status = 'running') FROM jobs
  WHERE status IN ('queued', 'running')
)
GROUP BY app, function, deployment
HAVING sum(queued) <> 0 OR sum(running) <> 0;

-- name: checkEvents
SELECT 'jobs:' || jobs.job || ' should hold the events ' || first_event || ' to ' || last_event || ', and holds '
  || count(events.id) || ' from ' || coalesce(min(events.id), 0) || ' to ' || coalesce(max(events.id), 0) AS problem
FROM jobs LEFT JOIN events ON events.job = jobs.job
GROUP BY jobs.job
HAVING count(events.id) <> last_event - first_event + 1 OR min(events.id) <> first_event OR max(events.id) <> last_event;

-- name: checkEnds
SELECT 'jobs:' || jobs.job || ' is ' || status || ', and its last event is ' || coalesce(events.event, 'absent') AS problem
FROM jobs LEFT JOIN events ON events.job = jobs.job AND events.id = jobs.last_event
WHERE (status NOT IN ('queued', 'running')) <> (coalesce(events.event, '') = 'job.end');

-- name: checkPayloads
SELECT 'jobs:' || jobs.job || ' has no input' AS problem
FROM jobs WHERE NOT EXISTS (SELECT 1 FROM job_inputs WHERE job_inputs.job = jobs.job)
UNION ALL
SELECT 'jobs:' || jobs.job || ' is ' || status || CASE WHEN status = 'succeeded' THEN ' without a result' ELSE ' with a result' END
FROM jobs
WHERE (status = 'succeeded') <> EXISTS (SELECT 1 FROM job_results WHERE job_results.job = jobs.job);
