version 3
TABLE concurrency_keys WITH (fillfactor=50)
  queue integer NOT NULL
  key text COLLATE C NOT NULL
  active integer NOT NULL
  parked integer NOT NULL
  CONSTRAINT concurrency_keys_active_check CHECK ((active >= 0))
  CONSTRAINT concurrency_keys_parked_check CHECK ((parked >= 0))
  CONSTRAINT concurrency_keys_pkey PRIMARY KEY (queue, key)
TABLE delayed
  run_after bigint NOT NULL
  job bigint NOT NULL
  queue integer NOT NULL
  deployment integer NOT NULL
  CONSTRAINT delayed_pkey PRIMARY KEY (run_after, job)
  CREATE INDEX delayed_queue ON delayed USING btree (queue, job)
TABLE deployments
  deployment integer NOT NULL IDENTITY
  app text COLLATE C NOT NULL
  digest text NOT NULL
  spec json NOT NULL
  upload_blob text
  status text NOT NULL
  error json
  created_at bigint NOT NULL
  CONSTRAINT deployments_check CHECK (((status = 'failed'::text) = (error IS NOT NULL)))
  CONSTRAINT deployments_pkey PRIMARY KEY (deployment)
  CONSTRAINT deployments_status_check CHECK ((status = ANY (ARRAY['building'::text, 'live'::text, 'superseded'::text, 'failed'::text])))
  CONSTRAINT deployments_upload_blob_check CHECK ((length(upload_blob) = 64))
  CREATE INDEX deployments_app ON deployments USING btree (app, deployment)
  CREATE INDEX deployments_upload_blob ON deployments USING btree (upload_blob) WHERE (upload_blob IS NOT NULL)
  CREATE UNIQUE INDEX deployments_live ON deployments USING btree (app) WHERE (status = 'live'::text)
  CREATE TRIGGER deployments_begin BEFORE INSERT ON deployments FOR EACH ROW WHEN ((new.status <> 'building'::text)) EXECUTE FUNCTION refuse('a deployment begins as building')
  CREATE TRIGGER deployments_transition BEFORE UPDATE ON deployments FOR EACH ROW WHEN (((old.status <> new.status) AND (NOT (((old.status = 'building'::text) AND (new.status = ANY (ARRAY['live'::text, 'failed'::text]))) OR ((old.status = 'live'::text) AND (new.status = 'superseded'::text)) OR ((old.status = 'superseded'::text) AND (new.status = 'live'::text)))))) EXECUTE FUNCTION refuse('no such transition of a deployment')
TABLE ended
  prune_at bigint NOT NULL
  job bigint NOT NULL
  status text NOT NULL
  CONSTRAINT ended_pkey PRIMARY KEY (prune_at, job)
  CREATE INDEX ended_unsuccessful ON ended USING btree (status, job) WHERE (status <> 'succeeded'::text)
TABLE event_segments
  job bigint NOT NULL
  last integer NOT NULL
  first integer NOT NULL
  bytes bigint NOT NULL
  lines text NOT NULL
  CONSTRAINT event_segments_check CHECK (((first >= 1) AND (first <= last)))
  CONSTRAINT event_segments_pkey PRIMARY KEY (job, last)
TABLE expiring
  expires_at bigint NOT NULL
  job bigint NOT NULL
  CONSTRAINT expiring_pkey PRIMARY KEY (expires_at, job)
TABLE idempotency_keys
  queue integer NOT NULL
  key text COLLATE C NOT NULL
  input_hash text NOT NULL
  job bigint NOT NULL
  created_at bigint NOT NULL
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (queue, key)
  CREATE INDEX idempotency_keys_created ON idempotency_keys USING btree (created_at)
TABLE job_blobs
  job bigint NOT NULL
  sha256 text NOT NULL
  CONSTRAINT job_blobs_pkey PRIMARY KEY (job, sha256)
  CONSTRAINT job_blobs_sha256_check CHECK ((length(sha256) = 64))
  CREATE INDEX job_blobs_sha256 ON job_blobs USING btree (sha256)
TABLE job_counts WITH (fillfactor=10)
  queue integer NOT NULL
  deployment integer NOT NULL
  priority integer NOT NULL
  part integer NOT NULL
  ready integer NOT NULL
  held integer NOT NULL
  running integer NOT NULL
  CONSTRAINT job_counts_pkey PRIMARY KEY (queue, deployment, priority, part)
TABLE jobs WITH (fillfactor=60)
  job bigint NOT NULL IDENTITY
  queue integer NOT NULL
  deployment integer NOT NULL
  status text NOT NULL
  hold text
  priority integer NOT NULL
  place bigint NOT NULL
  concurrency_key text COLLATE C
  key_limit integer
  input text NOT NULL
  result text
  error json
  progress double precision NOT NULL DEFAULT 0
  message text
  attempt integer NOT NULL DEFAULT 0
  max_attempts integer NOT NULL
  lost_count integer NOT NULL DEFAULT 0
  crash_count integer NOT NULL DEFAULT 0
  fence bigint NOT NULL DEFAULT 0
  replica text
  owner text
  run_after bigint
  expires_at bigint
  cancel_requested_at bigint
  created_at bigint NOT NULL
  started_at bigint
  finished_at bigint
  status_since bigint NOT NULL
  ttl_s double precision NOT NULL
  events_window integer NOT NULL
  events_window_bytes bigint NOT NULL
  first_event integer NOT NULL DEFAULT 1
  last_event integer NOT NULL DEFAULT 0
  tail text NOT NULL DEFAULT ''::text
  parent bigint
  retry_of bigint
  has_webhook boolean NOT NULL DEFAULT false
  traceparent text
  CONSTRAINT jobs_check CHECK (((lost_count >= 0) AND (lost_count <= attempt)))
  CONSTRAINT jobs_check1 CHECK (((crash_count >= 0) AND (crash_count <= lost_count)))
  CONSTRAINT jobs_check10 CHECK (((status <> ALL (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'timed_out'::text])) OR (started_at IS NOT NULL)))
  CONSTRAINT jobs_check11 CHECK (((status <> ALL (ARRAY['queued'::text, 'expired'::text])) OR (started_at IS NULL)))
  CONSTRAINT jobs_check12 CHECK (((status = ANY (ARRAY['queued'::text, 'running'::text])) = (finished_at IS NULL)))
  CONSTRAINT jobs_check13 CHECK (((status = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text])) = (error IS NULL)))
  CONSTRAINT jobs_check14 CHECK (((status = 'succeeded'::text) = (result IS NOT NULL)))
  CONSTRAINT jobs_check15 CHECK (((status <> 'queued'::text) OR (cancel_requested_at IS NULL)))
  CONSTRAINT jobs_check2 CHECK ((fence >= attempt))
  CONSTRAINT jobs_check3 CHECK ((last_event >= (first_event - 1)))
  CONSTRAINT jobs_check4 CHECK (((concurrency_key IS NULL) = (key_limit IS NULL)))
  CONSTRAINT jobs_check5 CHECK (((hold IS NULL) OR (status = 'queued'::text)))
  CONSTRAINT jobs_check6 CHECK (((hold IS DISTINCT FROM 'delay'::text) OR (run_after IS NOT NULL)))
  CONSTRAINT jobs_check7 CHECK (((hold IS DISTINCT FROM 'key'::text) OR (concurrency_key IS NOT NULL)))
  CONSTRAINT jobs_check8 CHECK (((status = 'running'::text) = (replica IS NOT NULL)))
  CONSTRAINT jobs_check9 CHECK (((status = 'running'::text) = (owner IS NOT NULL)))
  CONSTRAINT jobs_events_window_bytes_check CHECK ((events_window_bytes >= 1))
  CONSTRAINT jobs_events_window_check CHECK ((events_window >= 1))
  CONSTRAINT jobs_first_event_check CHECK ((first_event >= 1))
  CONSTRAINT jobs_hold_check CHECK ((hold = ANY (ARRAY['delay'::text, 'key'::text])))
  CONSTRAINT jobs_key_limit_check CHECK ((key_limit >= 1))
  CONSTRAINT jobs_max_attempts_check CHECK ((max_attempts >= 1))
  CONSTRAINT jobs_pkey PRIMARY KEY (job)
  CONSTRAINT jobs_progress_check CHECK (((progress >= (0)::double precision) AND (progress <= (1)::double precision)))
  CONSTRAINT jobs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text, 'expired'::text])))
  CONSTRAINT jobs_ttl_s_check CHECK ((ttl_s >= (0)::double precision))
  CREATE INDEX jobs_function ON jobs USING btree (queue, job)
  CREATE INDEX jobs_key ON jobs USING btree (queue, concurrency_key, job) WHERE (concurrency_key IS NOT NULL)
  CREATE INDEX jobs_parent ON jobs USING btree (parent, job) WHERE (parent IS NOT NULL)
  CREATE TRIGGER jobs_begin BEFORE INSERT ON jobs FOR EACH ROW WHEN ((NOT (((new.status = 'queued'::text) AND (new.attempt = 0) AND (new.fence = 0)) OR ((new.status = 'running'::text) AND (new.attempt = 1) AND (new.fence = 1))))) EXECUTE FUNCTION refuse('a job begins as queued, or as running with its first attempt')
  CREATE TRIGGER jobs_held BEFORE UPDATE ON jobs FOR EACH ROW WHEN (((old.hold IS NOT NULL) AND (new.status = 'running'::text))) EXECUTE FUNCTION refuse('a job that waits for its time or its key cannot start')
  CREATE TRIGGER jobs_transition BEFORE UPDATE ON jobs FOR EACH ROW WHEN (((old.status <> new.status) AND (NOT (((old.status = 'queued'::text) AND (new.status = ANY (ARRAY['running'::text, 'cancelled'::text, 'expired'::text]))) OR ((old.status = 'running'::text) AND (new.status = ANY (ARRAY['queued'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text]))))))) EXECUTE FUNCTION refuse('no such transition of a job')
TABLE key_waits
  queue integer NOT NULL
  key text COLLATE C NOT NULL
  rank integer NOT NULL
  job bigint NOT NULL
  CONSTRAINT key_waits_pkey PRIMARY KEY (queue, key, rank, job)
TABLE meta
  key text COLLATE C NOT NULL
  value text NOT NULL
  CONSTRAINT meta_pkey PRIMARY KEY (key)
TABLE migrations
  version integer NOT NULL
  name text NOT NULL
  applied_at timestamp with time zone NOT NULL DEFAULT now()
  CONSTRAINT migrations_pkey PRIMARY KEY (version)
TABLE numbers
  name text COLLATE C NOT NULL
  next bigint NOT NULL
  CONSTRAINT numbers_pkey PRIMARY KEY (name)
TABLE queues
  queue integer NOT NULL IDENTITY
  app text COLLATE C NOT NULL
  function text COLLATE C NOT NULL
  paused boolean NOT NULL DEFAULT false
  rate_per_ms bigint NOT NULL DEFAULT 0
  CONSTRAINT queues_app_function_key UNIQUE (app, function)
  CONSTRAINT queues_pkey PRIMARY KEY (queue)
  CONSTRAINT queues_rate_per_ms_check CHECK ((rate_per_ms >= 0))
TABLE rate_starts
  queue integer NOT NULL
  at bigint NOT NULL
  starts integer NOT NULL
  CONSTRAINT rate_starts_pkey PRIMARY KEY (queue, at)
  CONSTRAINT rate_starts_starts_check CHECK ((starts >= 1))
TABLE ready WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  deployment integer NOT NULL
  queue integer NOT NULL
  rank integer NOT NULL
  place bigint NOT NULL
  job bigint NOT NULL
  expires_at bigint
  CONSTRAINT ready_pkey PRIMARY KEY (deployment, queue, rank, place, job)
TABLE running WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=20000, autovacuum_vacuum_cost_delay=0)
  job bigint NOT NULL
  queue integer NOT NULL
  owner text NOT NULL
  key text COLLATE C
  CONSTRAINT running_pkey PRIMARY KEY (job)
TABLE schedules
  app text COLLATE C NOT NULL
  function text COLLATE C NOT NULL
  spec json NOT NULL
  next_at bigint NOT NULL
  paused boolean NOT NULL DEFAULT false
  last_at bigint
  last_job bigint
  CONSTRAINT schedules_check CHECK (((last_at IS NULL) = (last_job IS NULL)))
  CONSTRAINT schedules_pkey PRIMARY KEY (app, function)
  CREATE INDEX schedules_next ON schedules USING btree (next_at) WHERE (NOT paused)
TABLE servers
  server text COLLATE C NOT NULL
  lease_until bigint NOT NULL
  leader boolean NOT NULL DEFAULT false
  CONSTRAINT servers_pkey PRIMARY KEY (server)
TABLE webhooks
  job bigint NOT NULL
  url text NOT NULL
  host text NOT NULL
  secret text NOT NULL
  state text NOT NULL
  attempts integer NOT NULL DEFAULT 0
  error text
  next_at bigint
  CONSTRAINT webhooks_check CHECK (((state = 'due'::text) = (next_at IS NOT NULL)))
  CONSTRAINT webhooks_pkey PRIMARY KEY (job)
  CONSTRAINT webhooks_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'due'::text, 'delivered'::text, 'failed'::text])))
  CREATE INDEX webhooks_due ON webhooks USING btree (next_at, host) WHERE (state = 'due'::text)
TABLE writers WITH (fillfactor=10)
  writer uuid NOT NULL
  sequence bigint NOT NULL
  opened_at timestamp with time zone NOT NULL DEFAULT now()
  CONSTRAINT writers_pkey PRIMARY KEY (writer)
  CREATE TRIGGER writers_in_step BEFORE UPDATE ON writers FOR EACH ROW WHEN (((new.sequence <> (old.sequence + 1)) AND (new.sequence <> '-1'::integer))) EXECUTE FUNCTION refuse('the connection was given up')
