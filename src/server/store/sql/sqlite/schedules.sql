-- name: scheduleGet
SELECT * FROM schedules WHERE app = :app AND function = :function;

-- name: scheduleList
SELECT * FROM schedules WHERE :app IS NULL OR app = :app ORDER BY app, function;

-- name: scheduleSet
INSERT INTO schedules (app, function, spec, next_at) VALUES (:app, :function, :spec, :nextAt)
ON CONFLICT (app, function) DO UPDATE SET spec = excluded.spec, next_at = excluded.next_at;

-- name: scheduleDelete
DELETE FROM schedules WHERE app = :app AND function = :function;

-- name: schedulePause
UPDATE schedules SET paused = :paused, next_at = coalesce(:nextAt, next_at) WHERE app = :app AND function = :function RETURNING *;

-- name: scheduleDue
SELECT * FROM schedules WHERE paused = 0 AND next_at <= :now ORDER BY next_at, app, function LIMIT :limit;

-- name: scheduleNext
SELECT min(next_at) AS next FROM schedules WHERE paused = 0;

-- name: scheduleMove
UPDATE schedules SET next_at = :nextAt WHERE app = :app AND function = :function;

-- name: scheduleMade
UPDATE schedules SET last_at = :from, last_job = :job WHERE app = :app AND function = :function;
