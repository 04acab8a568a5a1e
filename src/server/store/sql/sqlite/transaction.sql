-- name: begin
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: stepBegin
SAVEPOINT step;

-- name: stepKeep
RELEASE step;

-- name: stepUndo
ROLLBACK TO step;
