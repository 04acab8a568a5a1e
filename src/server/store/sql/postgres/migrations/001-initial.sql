-- Deployments, queues, jobs, their logs, and what servers share. Times are milliseconds since 1970.
--
-- A queued or running job has one row in exactly one of `ready`, `delayed`, `key_waits` and `running`, and an ended one in `ended`: small
-- tables that are only added to and taken from. So a change of status rewrites the job's row in its page (no indexed column changes), and
-- a claim reads the head of one index.

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;

CREATE TABLE deployments (
  deployment integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app text COLLATE "C" NOT NULL,
  digest text NOT NULL,
  spec json NOT NULL,
  upload_blob text CHECK (length(upload_blob) = 64),
  status text NOT NULL CHECK (status IN ('building', 'live', 'superseded', 'failed')),
  error json,
  created_at bigint NOT NULL,
  CHECK ((status = 'failed') = (error IS NOT NULL))
);

CREATE UNIQUE INDEX deployments_live ON deployments (app) WHERE status = 'live';
CREATE INDEX deployments_app ON deployments (app, deployment);
CREATE INDEX deployments_upload_blob ON deployments (upload_blob) WHERE upload_blob IS NOT NULL;

CREATE TRIGGER deployments_begin BEFORE INSERT ON deployments
FOR EACH ROW WHEN (NEW.status <> 'building')
EXECUTE FUNCTION refuse('a deployment begins as building');

CREATE TRIGGER deployments_transition BEFORE UPDATE ON deployments
FOR EACH ROW WHEN (OLD.status <> NEW.status AND NOT (
  (OLD.status = 'building' AND NEW.status IN ('live', 'failed'))
  OR (OLD.status = 'live' AND NEW.status = 'superseded')
  OR (OLD.status = 'superseded' AND NEW.status = 'live')
))
EXECUTE FUNCTION refuse('no such transition of a deployment');

-- One for each function of an app, over all its deployments.
CREATE TABLE queues (
  queue integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app text COLLATE "C" NOT NULL,
  function text COLLATE "C" NOT NULL,
  paused boolean NOT NULL DEFAULT false,
  -- The longest span over which starts were counted for a rate limit.
  rate_per_ms bigint NOT NULL DEFAULT 0 CHECK (rate_per_ms >= 0),
  UNIQUE (app, function)
);

-- No foreign keys here and below: a lookup for each row would cost more than the row. Whoever inserts holds a lock that keeps
-- its deployment and its queue from being deleted, and `check` looks for what points nowhere.
CREATE TABLE jobs (
  job bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue integer NOT NULL,
  deployment integer NOT NULL,
  status text NOT NULL CHECK (
    status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'expired')
  ),
  -- Why a queued job may not be claimed: its time has not come, or its concurrency key has no room. NULL: it may.
  hold text CHECK (hold IN ('delay', 'key')),
  priority integer NOT NULL,
  -- Jobs of one priority start in this order: the job's number times 2^20; of one that waited for its concurrency key, behind all that were
  -- there when the key had room, and before all that were made later.
  place bigint NOT NULL,
  concurrency_key text COLLATE "C",
  key_limit integer CHECK (key_limit >= 1),
  input text NOT NULL,
  result text,
  error json,
  progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  message text,
  attempt integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL CHECK (max_attempts >= 1),
  lost_count integer NOT NULL DEFAULT 0 CHECK (lost_count BETWEEN 0 AND attempt),
  crash_count integer NOT NULL DEFAULT 0 CHECK (crash_count BETWEEN 0 AND lost_count),
  fence bigint NOT NULL DEFAULT 0 CHECK (fence >= attempt),
  replica text,
  owner text,
  run_after bigint,
  expires_at bigint,
  cancel_requested_at bigint,
  created_at bigint NOT NULL,
  started_at bigint,
  finished_at bigint,
  status_since bigint NOT NULL,
  ttl_s double precision NOT NULL CHECK (ttl_s >= 0),
  events_window integer NOT NULL CHECK (events_window >= 1),
  events_window_bytes bigint NOT NULL CHECK (events_window_bytes >= 1),
  -- Ids of the oldest retained event and of the newest.
  first_event integer NOT NULL DEFAULT 1 CHECK (first_event >= 1),
  last_event integer NOT NULL DEFAULT 0 CHECK (last_event >= first_event - 1),
  -- The newest events, a line for each, its type and its data; older ones are in event_segments. A job.result has no data: `result` holds
  -- the value.
  tail text NOT NULL DEFAULT '',
  parent bigint,
  retry_of bigint,
  has_webhook boolean NOT NULL DEFAULT false,
  CHECK ((concurrency_key IS NULL) = (key_limit IS NULL)),
  CHECK (hold IS NULL OR status = 'queued'),
  CHECK (hold IS DISTINCT FROM 'delay' OR run_after IS NOT NULL),
  CHECK (hold IS DISTINCT FROM 'key' OR concurrency_key IS NOT NULL),
  CHECK ((status = 'running') = (replica IS NOT NULL)),
  CHECK ((status = 'running') = (owner IS NOT NULL)),
  CHECK (status NOT IN ('running', 'succeeded', 'failed', 'timed_out') OR started_at IS NOT NULL),
  CHECK (status NOT IN ('queued', 'expired') OR started_at IS NULL),
  CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL)),
  CHECK ((status IN ('queued', 'running', 'succeeded')) = (error IS NULL)),
  CHECK ((status = 'succeeded') = (result IS NOT NULL)),
  CHECK (status <> 'queued' OR cancel_requested_at IS NULL)
) WITH (fillfactor = 60);

-- Over columns that never change, so that a change of status touches no index.
CREATE INDEX jobs_function ON jobs (queue, job);
CREATE INDEX jobs_key ON jobs (queue, concurrency_key, job) WHERE concurrency_key IS NOT NULL;
CREATE INDEX jobs_parent ON jobs (parent, job) WHERE parent IS NOT NULL;

CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs
FOR EACH ROW WHEN (NEW.status <> 'queued')
EXECUTE FUNCTION refuse('a job begins as queued');

CREATE TRIGGER jobs_transition BEFORE UPDATE ON jobs
FOR EACH ROW WHEN (OLD.status <> NEW.status AND NOT (
  (OLD.status = 'queued' AND NEW.status IN ('running', 'cancelled', 'expired'))
  OR (OLD.status = 'running' AND NEW.status IN ('queued', 'succeeded', 'failed', 'cancelled', 'timed_out'))
))
EXECUTE FUNCTION refuse('no such transition of a job');

CREATE TRIGGER jobs_held BEFORE UPDATE ON jobs
FOR EACH ROW WHEN (OLD.hold IS NOT NULL AND NEW.status = 'running')
EXECUTE FUNCTION refuse('a job that waits for its time or its key cannot start');

-- Jobs that may be claimed, in their order. `rank` is the priority, negated.
CREATE TABLE ready (
  deployment integer NOT NULL,
  queue integer NOT NULL,
  rank integer NOT NULL,
  place bigint NOT NULL,
  job bigint NOT NULL,
  expires_at bigint,
  PRIMARY KEY (deployment, queue, rank, place, job)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE delayed (
  run_after bigint NOT NULL,
  job bigint NOT NULL,
  queue integer NOT NULL,
  deployment integer NOT NULL,
  PRIMARY KEY (run_after, job)
);

CREATE INDEX delayed_queue ON delayed (queue, job);

-- Jobs whose concurrency key has no room.
CREATE TABLE key_waits (
  queue integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  rank integer NOT NULL,
  job bigint NOT NULL,
  PRIMARY KEY (queue, key, rank, job)
);

CREATE TABLE running (
  job bigint PRIMARY KEY,
  queue integer NOT NULL,
  owner text NOT NULL,
  key text COLLATE "C"
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- Jobs that expire where they have not started by then.
CREATE TABLE expiring (
  expires_at bigint NOT NULL,
  job bigint NOT NULL,
  PRIMARY KEY (expires_at, job)
);

-- Ended jobs by when they may be deleted.
CREATE TABLE ended (
  prune_at bigint NOT NULL,
  job bigint NOT NULL,
  status text NOT NULL,
  PRIMARY KEY (prune_at, job)
);

CREATE INDEX ended_unsuccessful ON ended (status, job) WHERE status <> 'succeeded';

-- How many jobs of each function and priority are in which state: the sum over `part`, which is each connection's own, so that they do not wait
-- for each other's commits. One part alone may be below 0.
CREATE TABLE job_counts (
  queue integer NOT NULL,
  deployment integer NOT NULL,
  priority integer NOT NULL,
  part integer NOT NULL,
  ready integer NOT NULL,
  held integer NOT NULL,
  running integer NOT NULL,
  PRIMARY KEY (queue, deployment, priority, part)
) WITH (fillfactor = 10);

-- Concurrency keys with jobs that are ready or running (`active`) or wait for the key (`parked`).
CREATE TABLE concurrency_keys (
  queue integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  active integer NOT NULL CHECK (active >= 0),
  parked integer NOT NULL CHECK (parked >= 0),
  PRIMARY KEY (queue, key)
) WITH (fillfactor = 50);

-- Starts of functions that have a rate limit, for as long as they count.
CREATE TABLE rate_starts (
  queue integer NOT NULL,
  at bigint NOT NULL,
  starts integer NOT NULL CHECK (starts >= 1),
  PRIMARY KEY (queue, at)
);

-- Older events of long logs, without a gap: ids `first` to `last`, one line each.
CREATE TABLE event_segments (
  job bigint NOT NULL,
  last integer NOT NULL,
  first integer NOT NULL CHECK (first BETWEEN 1 AND last),
  bytes bigint NOT NULL,
  lines text NOT NULL,
  PRIMARY KEY (job, last)
);

CREATE TABLE job_blobs (
  job bigint NOT NULL,
  sha256 text NOT NULL CHECK (length(sha256) = 64),
  PRIMARY KEY (job, sha256)
);

CREATE INDEX job_blobs_sha256 ON job_blobs (sha256);

-- A key outlives its job until the window in which it must not start another is over.
CREATE TABLE idempotency_keys (
  queue integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  input_hash text NOT NULL,
  job bigint NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (queue, key)
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE schedules (
  app text COLLATE "C" NOT NULL,
  function text COLLATE "C" NOT NULL,
  spec json NOT NULL,
  next_at bigint NOT NULL,
  paused boolean NOT NULL DEFAULT false,
  last_at bigint,
  last_job bigint,
  PRIMARY KEY (app, function),
  CHECK ((last_at IS NULL) = (last_job IS NULL))
);

CREATE INDEX schedules_next ON schedules (next_at) WHERE NOT paused;

CREATE TABLE webhooks (
  job bigint PRIMARY KEY,
  url text NOT NULL,
  host text NOT NULL,
  secret text NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'due', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  error text,
  next_at bigint,
  CHECK ((state = 'due') = (next_at IS NOT NULL))
);

CREATE INDEX webhooks_due ON webhooks (next_at, host) WHERE state = 'due';

-- Servers with a lease on the jobs they run; at most one of them has the lead.
CREATE TABLE servers (
  server text COLLATE "C" PRIMARY KEY,
  lease_until bigint NOT NULL,
  leader boolean NOT NULL DEFAULT false
);

-- One row for each connection that writes: how many transactions it has committed. See postgres/database.ts.
CREATE TABLE writers (
  writer uuid PRIMARY KEY,
  sequence bigint NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

CREATE TRIGGER writers_in_step BEFORE UPDATE ON writers
FOR EACH ROW WHEN (NEW.sequence <> OLD.sequence + 1 AND NEW.sequence <> -1)
EXECUTE FUNCTION refuse('the connection was given up');

CREATE TABLE meta (
  key text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE numbers (
  name text COLLATE "C" PRIMARY KEY,
  next bigint NOT NULL
);
