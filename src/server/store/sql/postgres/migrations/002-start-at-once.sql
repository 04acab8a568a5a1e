-- A job for which a place is at hand begins as running.
DROP TRIGGER jobs_begin ON jobs;

CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs
FOR EACH ROW WHEN (NOT (
  (NEW.status = 'queued' AND NEW.attempt = 0 AND NEW.fence = 0)
  OR (NEW.status = 'running' AND NEW.attempt = 1 AND NEW.fence = 1)
))
EXECUTE FUNCTION refuse('a job begins as queued, or as running with its first attempt');
