-- user_version 1

CREATE TRIGGER deployments_begin BEFORE INSERT ON deployments
WHEN NEW.status <> 'building'
BEGIN
  SELECT RAISE(ABORT, 'a deployment begins as building');
END;

CREATE TRIGGER deployments_transition BEFORE UPDATE OF status ON deployments
WHEN OLD.status <> NEW.status AND NOT (
  (OLD.status = 'building' AND NEW.status IN ('live', 'failed'))
  OR (OLD.status = 'live' AND NEW.status = 'superseded')
  OR (OLD.status = 'superseded' AND NEW.status = 'live')
)
BEGIN
  SELECT RAISE(ABORT, 'no such transition of a deployment');
END;

CREATE TABLE deployments (
  deployment INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  digest TEXT NOT NULL,
  spec TEXT NOT NULL CHECK (json_valid(spec)),
  status TEXT NOT NULL CHECK (status IN ('building', 'live', 'superseded', 'failed')),
  error TEXT CHECK (error IS NULL OR json_valid(error)),
  created_at INTEGER NOT NULL,
  CHECK ((status = 'failed') = (error IS NOT NULL))
) STRICT;

CREATE INDEX deployments_app ON deployments (app, deployment);

CREATE UNIQUE INDEX deployments_live ON deployments (app) WHERE status = 'live';

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  id INTEGER NOT NULL CHECK (id >= 1),
  event TEXT NOT NULL,
  data TEXT CHECK ((data IS NULL) = (event = 'job.result')),
  PRIMARY KEY (job, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  app TEXT NOT NULL,
  function TEXT NOT NULL,
  key TEXT NOT NULL,
  input_hash TEXT NOT NULL,
  job INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (app, function, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE job_blobs (
  job INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  PRIMARY KEY (job, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_blobs_sha256 ON job_blobs (sha256);

CREATE TABLE job_counts (
  app TEXT NOT NULL,
  function TEXT NOT NULL,
  deployment INTEGER NOT NULL,
  queued INTEGER NOT NULL CHECK (queued >= 0),
  running INTEGER NOT NULL CHECK (running >= 0),
  PRIMARY KEY (app, function, deployment)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_inputs (
  job INTEGER PRIMARY KEY REFERENCES jobs (job) ON DELETE CASCADE,
  input TEXT NOT NULL
) STRICT;

CREATE TRIGGER job_results_succeeded BEFORE INSERT ON job_results
WHEN NOT EXISTS (SELECT 1 FROM jobs WHERE job = NEW.job AND status = 'succeeded')
BEGIN
  SELECT RAISE(ABORT, 'only a job that succeeded has a result');
END;

CREATE TABLE job_results (
  job INTEGER PRIMARY KEY REFERENCES jobs (job) ON DELETE CASCADE,
  result TEXT NOT NULL
) STRICT;

CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs
WHEN NEW.status <> 'queued'
BEGIN
  SELECT RAISE(ABORT, 'a job begins as queued');
END;

CREATE TRIGGER jobs_counted AFTER INSERT ON jobs
BEGIN
  INSERT INTO job_counts (app, function, deployment, queued, running)
  VALUES (NEW.app, NEW.function, NEW.deployment, 1, 0)
  ON CONFLICT (app, function, deployment) DO UPDATE SET queued = queued + 1;
END;

CREATE TRIGGER jobs_recounted AFTER UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status
BEGIN
  UPDATE job_counts
  SET queued = queued + (NEW.status = 'queued') - (OLD.status = 'queued'),
      running = running + (NEW.status = 'running') - (OLD.status = 'running')
  WHERE app = NEW.app AND function = NEW.function AND deployment = NEW.deployment;
  DELETE FROM job_counts
  WHERE app = NEW.app AND function = NEW.function AND deployment = NEW.deployment AND queued = 0 AND running = 0;
END;

CREATE TRIGGER jobs_transition BEFORE UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status AND NOT (
  (OLD.status = 'queued' AND NEW.status IN ('running', 'cancelled', 'expired'))
  OR (OLD.status = 'running' AND NEW.status IN ('queued', 'succeeded', 'failed', 'cancelled', 'timed_out'))
)
BEGIN
  SELECT RAISE(ABORT, 'no such transition of a job');
END;

CREATE TRIGGER jobs_uncounted AFTER DELETE ON jobs
WHEN OLD.status IN ('queued', 'running')
BEGIN
  UPDATE job_counts
  SET queued = queued - (OLD.status = 'queued'), running = running - (OLD.status = 'running')
  WHERE app = OLD.app AND function = OLD.function AND deployment = OLD.deployment;
  DELETE FROM job_counts
  WHERE app = OLD.app AND function = OLD.function AND deployment = OLD.deployment AND queued = 0 AND running = 0;
END;

CREATE TABLE jobs (
  job INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  function TEXT NOT NULL,
  deployment INTEGER NOT NULL REFERENCES deployments (deployment),
  status TEXT NOT NULL CHECK (
    status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'expired')
  ),
  error TEXT CHECK (error IS NULL OR json_valid(error)),
  progress REAL NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  message TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),
  lost_count INTEGER NOT NULL DEFAULT 0 CHECK (lost_count BETWEEN 0 AND attempt),
  fence INTEGER NOT NULL DEFAULT 0 CHECK (fence >= attempt),
  replica TEXT,
  owner TEXT,
  run_after INTEGER,
  cancel_requested_at INTEGER,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  status_since INTEGER NOT NULL,
  ttl_s REAL NOT NULL CHECK (ttl_s >= 0),
  events_window INTEGER NOT NULL CHECK (events_window >= 1),
  -- Ids of the oldest retained event and of the newest.
  first_event INTEGER NOT NULL DEFAULT 1 CHECK (first_event >= 1),
  last_event INTEGER NOT NULL DEFAULT 0 CHECK (last_event >= first_event - 1),
  CHECK ((status = 'running') = (replica IS NOT NULL)),
  CHECK ((status = 'running') = (owner IS NOT NULL)),
  CHECK (status NOT IN ('running', 'succeeded', 'failed', 'timed_out') OR started_at IS NOT NULL),
  CHECK (status NOT IN ('queued', 'expired') OR started_at IS NULL),
  CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL)),
  CHECK ((status IN ('queued', 'running', 'succeeded')) = (error IS NULL)),
  CHECK (status = 'queued' OR run_after IS NULL),
  CHECK (status <> 'queued' OR cancel_requested_at IS NULL)
) STRICT;

CREATE INDEX jobs_delayed ON jobs (run_after) WHERE status = 'queued' AND run_after IS NOT NULL;

CREATE INDEX jobs_deployment ON jobs (deployment);

CREATE INDEX jobs_ended ON jobs (finished_at + ttl_s * 1000) WHERE finished_at IS NOT NULL;

CREATE INDEX jobs_function ON jobs (app, function, job);

CREATE INDEX jobs_queue ON jobs (deployment, function, job, run_after) WHERE status = 'queued';

CREATE INDEX jobs_running ON jobs (owner) WHERE status = 'running';
