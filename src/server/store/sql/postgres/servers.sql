-- name: serverGet
SELECT lease_until FROM servers WHERE server = :server;

-- name: serverBeat
-- It leads where it does already, or no other does that has a lease.
WITH gone AS (DELETE FROM servers WHERE lease_until <= :now AND server <> :server)
INSERT INTO servers (server, lease_until, leader)
VALUES (:server, :leaseUntil, NOT EXISTS (SELECT 1 FROM servers WHERE leader AND server <> :server AND lease_until > :now))
ON CONFLICT (server) DO UPDATE SET lease_until = excluded.lease_until, leader = excluded.leader
RETURNING leader;

-- name: serverCount
SELECT count(*)::integer AS servers FROM servers WHERE lease_until > :now;

-- name: serverLeave
DELETE FROM servers WHERE server = :server;

-- name: metaClaim
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING value;

-- name: numberTake
INSERT INTO numbers (name, next) VALUES (:name, 1 + :count::bigint)
ON CONFLICT (name) DO UPDATE SET next = numbers.next + :count
RETURNING next - :count AS first;
