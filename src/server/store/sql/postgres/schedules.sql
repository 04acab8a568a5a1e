-- name: scheduleListLocked
SELECT * FROM schedules WHERE app = :app ORDER BY function FOR UPDATE;

-- name: scheduleSet
INSERT INTO schedules (app, function, spec, next_at)
SELECT :app, function, spec, next_at
FROM json_to_recordset(:rows::json) AS n (function text, spec json, next_at bigint)
ON CONFLICT (app, function) DO UPDATE SET spec = excluded.spec, next_at = excluded.next_at;

-- name: scheduleDropOthers
DELETE FROM schedules WHERE app = :app AND function <> ALL (:functions::text[]);

-- name: scheduleList
SELECT * FROM schedules WHERE :app::text IS NULL OR app = :app ORDER BY app, function;

-- name: schedulePause
UPDATE schedules SET paused = :paused, next_at = coalesce(:nextAt::bigint, next_at)
WHERE app = :app AND function = :function
RETURNING *;

-- name: scheduleDue
SELECT * FROM schedules WHERE NOT paused AND next_at <= :now ORDER BY next_at, app, function LIMIT :limit;

-- name: scheduleNext
SELECT min(next_at) AS next_at FROM schedules WHERE NOT paused;

-- name: scheduleLock
SELECT * FROM schedules WHERE app = :app AND function = :function FOR UPDATE;

-- name: scheduleMove
UPDATE schedules SET next_at = :nextAt WHERE app = :app AND function = :function;

-- name: scheduleMade
UPDATE schedules SET last_at = :lastAt, last_job = :lastJob WHERE app = :app AND function = :function;
