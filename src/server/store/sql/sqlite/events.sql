-- name: logHead
SELECT job, status, fence, first_event, last_event, tail_first, segment_bytes, events_window, events_window_bytes,
  octet_length(log) AS tail_bytes
FROM jobs WHERE job = :job;

-- name: logRead
SELECT status, first_event, last_event, tail_first, log, result FROM jobs WHERE job = :job;

-- name: logTail
SELECT log FROM jobs WHERE job = :job;

-- name: logAppend
UPDATE jobs SET first_event = :first, last_event = :last, log = log || :lines WHERE job = :job;

-- name: logReplace
UPDATE jobs
SET first_event = :first, last_event = :last, log = :log, tail_first = :tailFirst, segment_bytes = :segmentBytes
WHERE job = :job;

-- name: logProgress
UPDATE jobs SET progress = :progress, message = :message WHERE job = :job;

-- name: logSegmentBytes
UPDATE jobs SET segment_bytes = segment_bytes - :dropped WHERE job = :job;

-- name: segmentInsert
INSERT INTO event_segments (job, first, last, bytes, data) VALUES (:job, :first, :last, :bytes, :data);

-- name: segmentDrop
DELETE FROM event_segments WHERE job = :job AND last < :first RETURNING bytes;

-- name: segmentSizes
SELECT first, last, bytes FROM event_segments WHERE job = :job ORDER BY first;

-- name: segmentGet
SELECT data FROM event_segments WHERE job = :job AND first = :first;

-- name: segmentAt
-- The one that holds the event, if any does.
SELECT first, last, data FROM event_segments WHERE job = :job AND first <= :id ORDER BY first DESC LIMIT 1;
