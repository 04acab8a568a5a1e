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
