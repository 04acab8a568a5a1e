-- name: eventInsert
INSERT INTO events (job, id, event, data) VALUES (:job, :id, :event, :data);

-- name: eventPrune
DELETE FROM events WHERE job = :job AND id < :first;

-- name: eventMark
UPDATE jobs SET first_event = :first, last_event = :last WHERE job = :job;

-- name: eventMarkProgress
UPDATE jobs SET first_event = :first, last_event = :last, progress = :progress, message = :message WHERE job = :job;

-- name: eventJob
SELECT status, fence, first_event, last_event, events_window FROM jobs WHERE job = :job;

-- name: eventRange
SELECT events.id, events.event, coalesce(events.data, '{"value":' || job_results.result || '}') AS data
FROM events
LEFT JOIN job_results ON events.data IS NULL AND job_results.job = events.job
WHERE events.job = :job AND events.id > :after
ORDER BY events.id
LIMIT :limit;

-- name: blobReferenced
SELECT 1 AS referenced FROM job_blobs WHERE sha256 = :sha256 LIMIT 1;
