-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED;

-- name: commitSoon
-- The commit does not wait for the disk.
SET LOCAL synchronous_commit TO off;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: lockTake
SELECT pg_advisory_xact_lock(:kind::integer, :id::integer);

-- name: lockShare
SELECT pg_advisory_xact_lock_shared(:kind::integer, :id::integer);

-- name: writerInsert
INSERT INTO writers (writer, sequence) VALUES (:writer, 0);

-- name: writerMark
UPDATE writers SET sequence = :sequence WHERE writer = :writer;

-- name: writerRead
SELECT sequence FROM writers WHERE writer = :writer;

-- name: writerSpoil
-- Waits for a transaction of that connection that is still under way. The row is no use to it from then on.
WITH present AS (SELECT sequence FROM writers WHERE writer = :writer FOR UPDATE)
UPDATE writers SET sequence = -1 FROM present WHERE writer = :writer
RETURNING present.sequence;

-- name: clockRead
SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now;

-- name: notify
SELECT pg_notify(:channel, payload) FROM unnest(:payloads::text[]) AS payload;
