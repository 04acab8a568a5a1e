-- user_version 3

CREATE TABLE concurrency_keys (
  queue INTEGER NOT NULL,
  key TEXT NOT NULL,
  queued INTEGER NOT NULL CHECK (queued >= ready + parked),
  ready INTEGER NOT NULL CHECK (ready >= 0),
  parked INTEGER NOT NULL CHECK (parked >= 0),
  running INTEGER NOT NULL CHECK (running >= 0),
  -- Of the newest job.
  key_limit INTEGER NOT NULL,
  PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

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
  created_at INTEGER NOT NULL, upload_blob TEXT CHECK (upload_blob IS NULL OR length(upload_blob) = 64),
  CHECK ((status = 'failed') = (error IS NOT NULL))
) STRICT;

CREATE INDEX deployments_app ON deployments (app, deployment);

CREATE UNIQUE INDEX deployments_live ON deployments (app) WHERE status = 'live';

CREATE INDEX deployments_upload ON deployments (upload_blob) WHERE upload_blob IS NOT NULL;

CREATE TABLE event_segments (
  job INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  first INTEGER NOT NULL CHECK (first >= 1),
  last INTEGER NOT NULL CHECK (last >= first),
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  data TEXT NOT NULL,
  PRIMARY KEY (job, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  queue INTEGER NOT NULL,
  key TEXT NOT NULL,
  input_hash TEXT NOT NULL,
  job INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE job_blobs (
  job INTEGER NOT NULL REFERENCES jobs (job) ON DELETE CASCADE,
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  PRIMARY KEY (job, sha256)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_blobs_sha256 ON job_blobs (sha256);

CREATE TABLE job_counts (
  queue INTEGER NOT NULL,
  deployment INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  queued INTEGER NOT NULL CHECK (queued >= ready + parked),
  ready INTEGER NOT NULL CHECK (ready >= 0),
  parked INTEGER NOT NULL CHECK (parked >= 0),
  running INTEGER NOT NULL CHECK (running >= 0),
  PRIMARY KEY (queue, deployment, priority)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_inputs (
  job INTEGER PRIMARY KEY REFERENCES jobs (job) ON DELETE CASCADE,
  input TEXT NOT NULL
) STRICT;

CREATE TRIGGER jobs_begin AFTER INSERT ON jobs
WHEN NEW.status <> 'queued'
BEGIN
  SELECT RAISE(ABORT, 'a job begins as queued');
END;

CREATE TRIGGER jobs_counted AFTER INSERT ON jobs
BEGIN
  INSERT INTO job_counts (queue, deployment, priority, queued, ready, parked, running)
  VALUES (NEW.queue, NEW.deployment, NEW.priority, 1, NEW.hold IS NULL, NEW.hold IS 'key', 0)
  ON CONFLICT (queue, deployment, priority)
  DO UPDATE SET queued = queued + 1, ready = ready + excluded.ready, parked = parked + excluded.parked;
END;

CREATE TRIGGER jobs_held AFTER UPDATE OF status ON jobs
WHEN OLD.hold IS NOT NULL AND NEW.status = 'running'
BEGIN
  SELECT RAISE(ABORT, 'a job that waits for its time or its key cannot start');
END;

CREATE TRIGGER jobs_key_counted AFTER INSERT ON jobs
WHEN NEW.concurrency_key IS NOT NULL
BEGIN
  INSERT INTO concurrency_keys (queue, key, queued, ready, parked, running, key_limit)
  VALUES (NEW.queue, NEW.concurrency_key, 1, NEW.hold IS NULL, NEW.hold IS 'key', 0, NEW.key_limit)
  ON CONFLICT (queue, key) DO UPDATE
  SET queued = queued + 1, ready = ready + excluded.ready, parked = parked + excluded.parked, key_limit = excluded.key_limit;
END;

CREATE TRIGGER jobs_key_recounted AFTER UPDATE OF status, hold ON jobs
WHEN NEW.concurrency_key IS NOT NULL
BEGIN
  UPDATE concurrency_keys
  SET queued = queued + (NEW.status = 'queued') - (OLD.status = 'queued'),
      ready = ready + (NEW.status = 'queued' AND NEW.hold IS NULL) - (OLD.status = 'queued' AND OLD.hold IS NULL),
      parked = parked + (NEW.hold IS 'key') - (OLD.hold IS 'key'),
      running = running + (NEW.status = 'running') - (OLD.status = 'running')
  WHERE queue = NEW.queue AND key = NEW.concurrency_key;
  DELETE FROM concurrency_keys WHERE queue = NEW.queue AND key = NEW.concurrency_key AND queued = 0 AND running = 0;
END;

CREATE TRIGGER jobs_key_uncounted AFTER DELETE ON jobs
WHEN OLD.concurrency_key IS NOT NULL AND OLD.status IN ('queued', 'running')
BEGIN
  UPDATE concurrency_keys
  SET queued = queued - (OLD.status = 'queued'), ready = ready - (OLD.status = 'queued' AND OLD.hold IS NULL),
      parked = parked - (OLD.hold IS 'key'), running = running - (OLD.status = 'running')
  WHERE queue = OLD.queue AND key = OLD.concurrency_key;
  DELETE FROM concurrency_keys WHERE queue = OLD.queue AND key = OLD.concurrency_key AND queued = 0 AND running = 0;
END;

CREATE TRIGGER jobs_recounted AFTER UPDATE OF status, hold ON jobs
BEGIN
  UPDATE job_counts
  SET queued = queued + (NEW.status = 'queued') - (OLD.status = 'queued'),
      ready = ready + (NEW.status = 'queued' AND NEW.hold IS NULL) - (OLD.status = 'queued' AND OLD.hold IS NULL),
      parked = parked + (NEW.hold IS 'key') - (OLD.hold IS 'key'),
      running = running + (NEW.status = 'running') - (OLD.status = 'running')
  WHERE queue = NEW.queue AND deployment = NEW.deployment AND priority = NEW.priority;
END;

CREATE TRIGGER jobs_transition AFTER UPDATE OF status ON jobs
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
  SET queued = queued - (OLD.status = 'queued'), ready = ready - (OLD.status = 'queued' AND OLD.hold IS NULL),
      parked = parked - (OLD.hold IS 'key'), running = running - (OLD.status = 'running')
  WHERE queue = OLD.queue AND deployment = OLD.deployment AND priority = OLD.priority;
END;

CREATE TABLE jobs (
  job INTEGER PRIMARY KEY AUTOINCREMENT,
  queue INTEGER NOT NULL,
  deployment INTEGER NOT NULL,
  status TEXT NOT NULL,
  -- What a queued job waits for before it may be claimed: its time, or room of its concurrency key; NULL: nothing, it is ready.
  hold TEXT CHECK (hold IN ('delay', 'key')),
  priority INTEGER NOT NULL,
  -- Jobs of one priority start in this order: the job's number times 2^20; of one that waited for its concurrency key, more than that of the
  -- newest number when the key had room, and of all that were ready then.
  place INTEGER NOT NULL CHECK (place >= 1048576 * job),
  attempt INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL CHECK (max_attempts >= 1),
  lost_count INTEGER NOT NULL DEFAULT 0 CHECK (lost_count BETWEEN 0 AND attempt),
  crash_count INTEGER NOT NULL DEFAULT 0 CHECK (crash_count BETWEEN 0 AND lost_count),
  fence INTEGER NOT NULL DEFAULT 0 CHECK (fence >= attempt),
  replica TEXT,
  owner TEXT,
  run_after INTEGER,
  expires_at INTEGER,
  cancel_requested_at INTEGER,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  status_since INTEGER NOT NULL,
  ttl_s REAL NOT NULL CHECK (ttl_s >= 0),
  concurrency_key TEXT,
  key_limit INTEGER CHECK (key_limit >= 1),
  parent INTEGER,
  retry_of INTEGER,
  webhook INTEGER NOT NULL DEFAULT 0 CHECK (webhook IN (0, 1)),
  events_window INTEGER NOT NULL CHECK (events_window >= 1),
  events_window_bytes INTEGER NOT NULL CHECK (events_window_bytes >= 1),
  -- Ids of the oldest retained event, of the newest, and of the first in `log`; those before that are in event_segments, whose bytes add up to
  -- segment_bytes.
  first_event INTEGER NOT NULL DEFAULT 1 CHECK (first_event >= 1),
  last_event INTEGER NOT NULL CHECK (last_event >= first_event - 1),
  tail_first INTEGER NOT NULL DEFAULT 1 CHECK (tail_first BETWEEN 1 AND last_event + 1),
  segment_bytes INTEGER NOT NULL DEFAULT 0 CHECK (segment_bytes >= 0),
  progress REAL NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  message TEXT,
  error TEXT CHECK (error IS NULL OR json_valid(error)),
  -- NULL: it is long, and in job_inputs.
  input TEXT,
  -- The end of the log: a line for each event, its type and its data. A job.result has none: `result` holds the value.
  log TEXT NOT NULL,
  result TEXT, traceparent TEXT,
  -- What a job of each status has, and has not. One constraint, since every change of a status evaluates all that name it.
  CHECK (
    CASE status
      WHEN 'queued' THEN
        coalesce(replica, owner, started_at, finished_at, cancel_requested_at, result, error) IS NULL
      WHEN 'running' THEN
        replica IS NOT NULL AND owner IS NOT NULL AND started_at IS NOT NULL AND coalesce(finished_at, hold, run_after, result, error) IS NULL
      WHEN 'succeeded' THEN
        started_at IS NOT NULL AND finished_at IS NOT NULL AND result IS NOT NULL AND coalesce(replica, owner, hold, run_after, error) IS NULL
      WHEN 'failed' THEN
        started_at IS NOT NULL AND finished_at IS NOT NULL AND error IS NOT NULL AND coalesce(replica, owner, hold, run_after, result) IS NULL
      WHEN 'timed_out' THEN
        started_at IS NOT NULL AND finished_at IS NOT NULL AND error IS NOT NULL AND coalesce(replica, owner, hold, run_after, result) IS NULL
      WHEN 'cancelled' THEN
        finished_at IS NOT NULL AND error IS NOT NULL AND coalesce(replica, owner, hold, run_after, result) IS NULL
      WHEN 'expired' THEN
        finished_at IS NOT NULL AND error IS NOT NULL AND coalesce(started_at, replica, owner, hold, run_after, result) IS NULL
      ELSE 0
    END
  ),
  CHECK (hold IS NOT 'delay' OR run_after IS NOT NULL),
  CHECK (hold IS NOT 'key' OR concurrency_key IS NOT NULL),
  CHECK ((concurrency_key IS NULL) = (key_limit IS NULL))
) STRICT;

CREATE INDEX jobs_by_end ON jobs (status, job) WHERE finished_at IS NOT NULL;

CREATE INDEX jobs_delayed ON jobs (run_after) WHERE hold = 'delay';

CREATE INDEX jobs_ended ON jobs (finished_at + ttl_s * 1000) WHERE finished_at IS NOT NULL;

CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE status = 'queued' AND attempt = 0 AND expires_at IS NOT NULL;

CREATE INDEX jobs_key ON jobs (queue, concurrency_key, job) WHERE concurrency_key IS NOT NULL;

CREATE INDEX jobs_parent ON jobs (parent, job) WHERE parent IS NOT NULL;

CREATE INDEX jobs_parked ON jobs (queue, concurrency_key, priority DESC, job) WHERE hold = 'key';

CREATE INDEX jobs_queue ON jobs (queue, job);

CREATE INDEX jobs_ready ON jobs (queue, deployment, priority DESC, place, job) WHERE status = 'queued' AND hold IS NULL;

CREATE INDEX jobs_running ON jobs (owner, job) WHERE status = 'running';

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE numbers (
  name TEXT PRIMARY KEY,
  next INTEGER NOT NULL CHECK (next >= 1)
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
  queue INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  function TEXT NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  -- The longest span over which starts were counted for a rate limit.
  rate_per_ms INTEGER NOT NULL DEFAULT 0 CHECK (rate_per_ms >= 0),
  UNIQUE (app, function)
) STRICT;

CREATE TABLE rate_starts (
  queue INTEGER NOT NULL,
  at INTEGER NOT NULL,
  starts INTEGER NOT NULL CHECK (starts >= 1),
  PRIMARY KEY (queue, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE schedules (
  app TEXT NOT NULL,
  function TEXT NOT NULL,
  spec TEXT NOT NULL CHECK (json_valid(spec)),
  next_at INTEGER NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  last_at INTEGER,
  last_job INTEGER,
  PRIMARY KEY (app, function)
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_next ON schedules (next_at) WHERE paused = 0;

CREATE TABLE servers (
  server TEXT PRIMARY KEY,
  lease_until INTEGER NOT NULL,
  leads INTEGER NOT NULL CHECK (leads IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX servers_lead ON servers (leads) WHERE leads = 1;

CREATE TABLE webhooks (
  job INTEGER PRIMARY KEY REFERENCES jobs (job) ON DELETE CASCADE,
  url TEXT NOT NULL,
  host TEXT NOT NULL,
  secret TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'due', 'delivered', 'failed')),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  error TEXT,
  next_at INTEGER,
  CHECK ((state = 'due') = (next_at IS NOT NULL)),
  CHECK (state <> 'failed' OR error IS NOT NULL)
) STRICT;

CREATE INDEX webhooks_due ON webhooks (next_at, host) WHERE state = 'due';
