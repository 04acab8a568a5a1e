-- name: serverGet
SELECT lease_until FROM servers WHERE server = :server;

-- name: serverPrune
DELETE FROM servers WHERE lease_until <= :now AND server <> :server;

-- name: serverRenew
-- It leads where it does already, or no other does.
INSERT INTO servers (server, lease_until, leads)
VALUES (:server, :until, NOT EXISTS (SELECT 1 FROM servers WHERE leads = 1))
ON CONFLICT (server) DO UPDATE SET lease_until = excluded.lease_until, leads = max(leads, excluded.leads)
RETURNING leads;

-- name: serverCount
SELECT count(*) AS servers FROM servers;

-- name: serverLeave
DELETE FROM servers WHERE server = :server;

-- name: metaClaim
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET key = key RETURNING value;

-- name: numberTake
INSERT INTO numbers (name, next) VALUES (:name, 1 + :count)
ON CONFLICT (name) DO UPDATE SET next = next + :count
RETURNING next;
