-- name: eventHeads
-- What appending to logs must know of their jobs.
SELECT job, queue, status, fence, first_event, last_event, events_window, events_window_bytes, tail
FROM jobs WHERE job = ANY (:jobs::bigint[]) ORDER BY job FOR UPDATE;

-- name: eventSegments
SELECT job, first, last, bytes FROM event_segments WHERE job = ANY (:jobs::bigint[]) ORDER BY job, last;

-- name: eventSegment
SELECT first, last, bytes, lines FROM event_segments WHERE job = :job AND last = :last;

-- name: eventMark
UPDATE jobs SET first_event = n.first_event, last_event = n.last_event, tail = n.tail
FROM json_to_recordset(:rows::json) AS n (job bigint, first_event integer, last_event integer, tail text)
WHERE jobs.job = n.job;

-- name: eventMarkProgress
UPDATE jobs SET progress = n.progress, message = n.message
FROM json_to_recordset(:rows::json) AS n (job bigint, progress double precision, message text)
WHERE jobs.job = n.job;

-- name: eventSeal
INSERT INTO event_segments (job, first, last, bytes, lines)
SELECT job, first, last, bytes, lines
FROM json_to_recordset(:rows::json) AS n (job bigint, first integer, last integer, bytes bigint, lines text);

-- name: eventPrune
DELETE FROM event_segments USING json_to_recordset(:rows::json) AS n (job bigint, first_event integer)
WHERE event_segments.job = n.job AND event_segments.last < n.first_event;

-- name: eventRange
-- The head and as many segments as make a page, as of one moment.
SELECT jobs.status, jobs.first_event, jobs.last_event, jobs.tail, jobs.result,
  (
    SELECT json_agg(json_build_object('first', s.first, 'lines', s.lines) ORDER BY s.last)
    FROM (
      SELECT first, last, lines FROM event_segments
      WHERE event_segments.job = jobs.job AND last > :after
      ORDER BY last LIMIT 4
    ) AS s
  ) AS segments
FROM jobs WHERE jobs.job = :job;

-- name: blobsNeeded
SELECT sha256 FROM job_blobs WHERE sha256 > :after
UNION SELECT upload_blob FROM deployments WHERE upload_blob > :after
ORDER BY 1 LIMIT :limit::integer;

-- name: about
SELECT current_setting('server_version') AS version, (SELECT max(version) FROM migrations) AS schema;

-- name: blobUnreferenced
SELECT sha256 FROM unnest(:hashes::text[]) WITH ORDINALITY AS h (sha256, ord)
WHERE NOT EXISTS (SELECT 1 FROM job_blobs WHERE job_blobs.sha256 = h.sha256)
  AND NOT EXISTS (SELECT 1 FROM deployments WHERE upload_blob = h.sha256)
ORDER BY ord;
