/** Every default and limit of the system, in one place, with its unit in its name. */
const SECOND_MS = 1000;
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const KIB = 1024;
const MIB = 1024 * KIB;

/** Options of every function. */
export const FUNCTION_DEFAULTS = {
  cpu: 1,
  memoryMb: 1024,
  timeoutS: 10 * MINUTE_S,
  gpuCount: 0,
  minReplicas: 0,
  maxReplicas: 1,
  keepWarmS: 10 * MINUTE_S,
  scaleUpDelayS: 0,
  eventsWindow: 1000,
  eventsWindowBytes: 16 * MIB,
  priority: 0,
  /** Jobs of one concurrency key at a time. */
  keyConcurrency: 1,
  batchWaitMs: 10,
  endpointConcurrency: 100,
  functionConcurrency: 1,
  retryDelayS: 1,
  retryBackoff: 2,
  retryMaxDelayS: 5 * MINUTE_S,
  retryJitter: 0.1,
  serviceStartupTimeoutS: 5 * MINUTE_S,
  /** Within which a `webServer` must have bound its port. */
  startupTimeoutS: 5,
  drainTimeoutS: 30,
  maxUploadFileSizeMb: 100,
} as const;

export const QUEUE_DEFAULTS = { size: 500, maxWorkers: 1, ttlS: HOUR_S } as const;

/** What a caller may ask for with one call. */
export const SPAWN_LIMITS = {
  minPriority: -1000,
  maxPriority: 1000,
  /** Of `delay_s` and `run_at`, from now; of `expire_s` and `ttl_s`. */
  maxDelayS: 366 * 24 * HOUR_S,
  maxExpireS: 366 * 24 * HOUR_S,
  maxTtlS: 366 * 24 * HOUR_S,
  maxKeyChars: 255,
} as const;

export const SERVER_DEFAULTS = {
  host: "127.0.0.1",
  port: 7700,
  domain: "localhost",
  /** Blank runtime processes kept ready. */
  blankReplicas: 1,
  /** Time a call's code has to heed its abort signal before its process is killed. */
  cancelGraceMs: 5 * SECOND_MS,
  /** A replica has this long to open its connection. */
  helloTimeoutMs: 30 * SECOND_MS,
  idempotencyWindowS: 24 * HOUR_S,
  sseHeartbeatMs: 15 * SECOND_MS,
  /** Reports of a job's progress that are stored; the newest stands for those between. */
  progressPerSecond: 20,
  /** Newest events of a watched job that its watchers share in memory; one that falls behind them reads the store. */
  watcherBufferEvents: 1000,
  watcherBufferBytes: 4 * MIB,
  /** On a shared store, the logs of watched jobs are looked at so often in case no signal came from the server that runs them. */
  eventPollMs: 5 * SECOND_MS,
  /** Events of the whole server that are kept for those who watch it and reconnect. */
  serverEventsWindow: 5000,
  /** Replicas that may die under a job before it counts as the cause and fails. */
  maxCrashes: 3,
  /** A server that has not renewed its lease for so long has lost its jobs to the others. */
  leaseMs: 10 * SECOND_MS,
  leaseRenewMs: 2 * SECOND_MS,
  /** Arguments and results of a job beyond this go to the blob folder. */
  payloadInlineMaxBytes: 256 * KIB,
  /** A reader of a job's chunks who was announced, or whose connection broke, is waited for so long before the function goes on without. */
  expectReaderMs: 5 * SECOND_MS,
  /** Of a call's JSON; it goes to its replica in one frame, with little beside it. Media are not counted. */
  maxJobInputBytes: 16 * MIB - 64 * KIB,
  /** Calls that one request may enqueue. */
  maxSpawnMany: 10_000,
  /** How far back the rate looks that waits are estimated from, and `Retry-After` of a full queue. */
  rateWindowMs: 5 * MINUTE_S * SECOND_MS,
  /** Starts that a rate counts are kept so much longer than it spans: a claim may have waited for its turn behind one of a later time. */
  rateSlackMs: 10 * SECOND_MS,
  /** A list of jobs says the position of each where no more than these wait; counting takes time in proportion to the queue. */
  maxCountedPositions: 1000,
  maxRetryAfterS: 5 * MINUTE_S,
  /** A replica whose process was stopped by a signal (SIGSTOP) for so long is lost. */
  frozenReplicaMs: 10 * SECOND_MS,
  /** Calls, of whatever functions, that one request to /v1/calls may carry. */
  maxCallsPerRequest: 1000,
  /** Body of a call without uploads: JSON or a urlencoded form. */
  maxJsonBodyBytes: 10 * MIB,
  maxDeploymentBytes: 64 * MIB,
  /** Files that ship with a deployment as they are, beside its bundle. */
  maxShippedFiles: 10_000,
  maxShippedBytes: 32 * MIB,
  /** `{args, kwargs}`, media in base64 included. */
  maxSpawnBodyBytes: 140 * MIB,
  /** Installing a deployment's dependencies is given up after this. */
  dependencyInstallMs: 10 * MINUTE_S * SECOND_MS,
  /** One captured line of output; longer ones are cut and say so. */
  maxLogLineBytes: 16 * KIB,
  memoryPollMs: 100,
  pruneIntervalMs: 30 * SECOND_MS,
  maxWaitS: 5 * MINUTE_S,
  listLimit: 50,
  maxListLimit: 500,
  /** Requests that may wait for a replica of one group. */
  maxHeldRequests: 1000,
  /** Replicas of all groups that may be starting at once; the others wait for their turn. */
  maxConcurrentStarts: 4,
  /** A start that takes longer, as one that loads a model may, leaves its turn to the next. */
  startTurnMs: 5 * SECOND_MS,
} as const;

/** What replicas print; see `athanor deployment logs`. */
export const LOG_DEFAULTS = {
  /** Of one deployment two files are kept, the full one and the one that fills. */
  maxFileBytes: 4 * MIB,
  /** Of all deployments on one server. */
  maxBytes: 256 * MIB,
  /** Of one deployment, while the disk is slower than its replicas. */
  maxPendingBytes: MIB,
  /** Lines of stderr that are told of a deployment that could not be live. */
  lastStderrLines: 20,
  /** They are waited for so long while its replicas end. */
  lastWordsMs: 2 * SECOND_MS,
  /** A service's health path is asked so often for its `startup_log_tail`. */
  healthPollMs: SECOND_MS,
} as const;

export const DEPLOY_DEFAULTS = {
  /** Superseded deployments of each app that can be made live again; of older ones only the description is kept. */
  keptDeployments: 10,
  /** A server that shares its store looks so often at most for apps that it does not serve, each time for all that were asked for. */
  missGapMs: 25,
  /** A request for an app that is being made here waits for so long, then it is told so. */
  missPatienceMs: 10 * SECOND_MS,
  /** Apps that may wait for such a look. */
  maxMisses: 1000,
} as const;

/** Apps in Python. */
export const PYTHON_DEFAULTS = {
  minVersion: "3.10",
  /** uvicorn, and what it does WebSockets, HTTP and the event loop with, added to requirements that do not name them. */
  asgiServer: [
    "uvicorn==0.54.0",
    'websockets==17.4; python_version >= "3.11"',
    'websockets==15.0.1; python_version < "3.11"',
    'httptools==0.9.0; platform_python_implementation == "CPython"',
    'uvloop==0.23.0; platform_python_implementation == "CPython"',
  ],
  wsgiServer: ["gunicorn==27.0.1"],
  /** Finding a Python is given up after this. */
  findMs: 30 * SECOND_MS,
} as const;

/** Between the gateway and the services that it connects to. */
export const HOP_DEFAULTS = {
  /** An idle connection is kept for so long where the service does not say for how long it keeps it; common servers close theirs after 5 s. */
  idleMs: 4 * SECOND_MS,
  /** Where it says so, ours is closed so much earlier. */
  idleMarginMs: 1 * SECOND_MS,
  maxIdleMs: MINUTE_S * SECOND_MS,
  /** No server closes a connection that has been idle for less. */
  surelyOpenMs: 1 * SECOND_MS,
  /** A replica whose connection broke is waited for so long to be known as gone. */
  goneMs: 1 * SECOND_MS,
  /** A request is given to so many replicas, one after the other, where it came to none. */
  maxAttempts: 3,
  /** Of a WebSocket that was sent its closing frame, for the client's own. */
  goodbyeMs: 2 * SECOND_MS,
  /** After so long without traffic the client's system is asked whether it is still there. */
  keepAliveProbeMs: 30 * SECOND_MS,
} as const;

/** What the listener takes from clients, and how long it waits for them. */
export const HTTP_DEFAULTS = {
  /** Connections at a time; more are closed at once. */
  maxConnections: 20_000,
  /** The request's line and its header fields. Also of the trailers, and of the extensions of chunks. */
  maxHeadBytes: 16 * KIB,
  maxHeaders: 100,
  /** Path and query. */
  maxTargetBytes: 8 * KIB,
  /** Requests of one connection that may be under way; more in a pipeline end it. */
  maxPipelined: 100,
  /** From the first byte of a head, or from the opening of a connection, to the head's end. */
  headTimeoutMs: 20 * SECOND_MS,
  /** A body whose answer has not begun must bring `minBodyBytes`, or its end, in each such time. */
  bodyTimeoutMs: 30 * SECOND_MS,
  minBodyBytes: KIB,
  /** An answer of which the client has taken nothing for so long is cut. */
  answerTimeoutMs: 60 * SECOND_MS,
  /** Above what clients and proxies keep idle connections for, so that it is not the server that closes one just as it is used. */
  keepAliveMs: 75 * SECOND_MS,
  /** How often slow connections are looked for. */
  slowCheckMs: 5 * SECOND_MS,
  tlsHandshakeTimeoutMs: 10 * SECOND_MS,
  /** How often the files of the certificate and its key are looked at. */
  tlsFilesCheckMs: 10 * SECOND_MS,
  /** HTTP/2: requests of one connection at a time, and memory that one may take. */
  maxStreams: 128,
  maxSessionBytes: 10 * MIB,
} as const;

export const SCHEDULE_LIMITS = {
  minEveryS: 1,
  maxEveryS: 366 * 24 * HOUR_S,
  maxCronChars: 200,
  /** A tick that is later has been missed. Longer than another server takes to take up the lead, and than a restart. */
  lateMs: 30 * SECOND_MS,
} as const;

export const WEBHOOK_DEFAULTS = {
  /** After the first attempt, the second, and so on; past the last, the delivery is given up: after about 22 hours. */
  retryDelaysS: [5, 30, 2 * MINUTE_S, 10 * MINUTE_S, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S],
  /** Share of the delay that is random, so that what failed together does not come back together. */
  retryJitter: 0.1,
  /** Of the longest wait that a receiver's Retry-After may ask for. */
  maxRetryAfterS: 24 * HOUR_S,
  /** Of one attempt, from the look-up of the name to the status line. */
  attemptTimeoutMs: 15 * SECOND_MS,
  /** A server that has not said how an attempt went for so long has lost it to the others; more than an attempt can take. */
  leaseMs: 20 * SECOND_MS,
  /** Deliveries under way at a time, of one server. */
  maxInFlight: 64,
  /** Of these, to one host. */
  maxPerHost: 16,
  /** Host names looked up at a time. */
  maxLookups: 2,
  /** A result that is longer as JSON is left out of the body; its link leads to it. */
  maxResultBytes: 256 * KIB,
  maxUrlChars: 2048,
  /** Of a secret that is plain text. */
  minSecretChars: 16,
  maxSecretChars: 512,
  /** Of one that is `whsec_` and base64, as Standard Webhooks has it. */
  minSecretBytes: 24,
  maxSecretBytes: 64,
  /** A receiver refuses what was signed longer ago, or ahead of its own clock. */
  verifyToleranceS: 5 * MINUTE_S,
} as const;

/** The PostgreSQL store. */
export const POSTGRES_DEFAULTS = {
  schema: "athanor",
  /** Of the pool; the one that listens comes on top. */
  maxConnections: 10,
  /** For so long a verb waits for a database that cannot be reached, before it rejects with `store_unreachable`. */
  patienceMs: 30 * SECOND_MS,
  /** The first delay before a failed connection is tried again; it doubles up to the longest. */
  reconnectFirstMs: 50,
  reconnectMaxMs: 2 * SECOND_MS,
  connectTimeoutMs: 10 * SECOND_MS,
  /** The database ends a transaction whose server has said nothing for so long, and with it the locks it holds. */
  idleInTransactionMs: 5 * SECOND_MS,
  /** How often the database's clock is read. */
  clockSyncMs: 10 * SECOND_MS,
  /** Signals to other servers are gathered for so long. */
  notifyMs: 5,
  /** Where several servers share the store, each looks at everything again so often, should a signal have been lost. */
  signalPollMs: 5 * SECOND_MS,
  /** Verbs that one transaction takes together. */
  maxBatchCalls: 500,
} as const;

/** How many replicas a group has, and when a failed start is tried again. The windows and the threshold are those of Knative's autoscaler. */
export const SCALING_DEFAULTS = {
  /** How far back the average looks by which the number of replicas falls. */
  stableWindowMs: MINUTE_S * SECOND_MS,
  /** The same of the average that notices a burst. */
  panicWindowMs: 6 * SECOND_MS,
  /** A burst is so many times what the replicas that share the calls can hold. */
  panicThreshold: 2,
  /** The share of a replica's places that is planned to be in use, so that there is room for what comes unevenly. */
  targetUtilization: 0.7,
  /** The wait after the first failed start; it doubles with each further one, up to the longest. */
  startBackoffFirstMs: 500,
  startBackoffMaxMs: 30 * SECOND_MS,
  /** A replica that was ready for so long has not failed to start, whatever becomes of it. */
  provenMs: 30 * SECOND_MS,
  /** So many replicas that die in a row before they have finished a call are a crash loop. More than one bad call takes along: a job takes 3. */
  crashLoop: 5,
  /** Ends of replicas that are told of each group. */
  lastExits: 10,
  /** Of the stderr of each. */
  lastExitLines: 5,
} as const;

/** The client's patience. */
export const CLIENT_DEFAULTS = {
  /** The first delay before a broken connection is tried again; it doubles up to the longest, less a random part. */
  retryFirstMs: 100,
  retryMaxMs: 5 * SECOND_MS,
  /** A server that cannot be reached for so long is given up; one that was never reached, at once. */
  giveUpAfterMs: MINUTE_S * SECOND_MS,
  /** An event stream silent for so long is broken: the server's heartbeat comes every 15 s. */
  streamSilenceMs: 45 * SECOND_MS,
  /** Of one long poll for a result. */
  waitS: 30,
  /** Calls that one request carries; more follow in the next. */
  maxCallsPerRequest: 256,
  /** A call with arguments beyond this has a request of its own, so that others need not wait for its bytes. */
  maxSharedCallBytes: 64 * KIB,
  /** Calls of `map` and its kin that are under way at a time. */
  mapConcurrency: 64,
  maxMapConcurrency: 10_000,
  /** The longest after which `map` asks a full queue again. */
  fullQueueMaxMs: 2 * SECOND_MS,
  webUrlTimeoutS: MINUTE_S,
  webUrlPollMs: 250,
} as const;

/** `athanor dev`. */
export const DEV_DEFAULTS = {
  /** In the project's root; it keeps itself out of git. */
  dataFolder: ".athanor",
  /** A save may be several changes: this long after the last of them, it is over. */
  quietMs: 20,
  /** Changes that never cease are built from all the same. */
  maxWaitMs: 250,
  /** Ports that are tried from the server's usual one on. */
  portTries: 100,
  maxWatchedFolders: 200,
  /** The next replica should not have to wait for the one before it to be replaced. */
  blankReplicas: 2,
} as const;

/** `app.serve()`. */
export const SERVE_DEFAULTS = {
  host: "127.0.0.1",
  /** Any free one. */
  port: 0,
  /** Requests under way at the end have so long. */
  closeGraceMs: 5 * SECOND_MS,
} as const;

/** Faults that `--chaos` makes; a share of 0.1 is every tenth. */
export const CHAOS_DEFAULTS = {
  /** Of attempts: lost between claim and code. */
  lostClaimShare: 0.05,
  /** Of attempts: their code has run, and its end is not stored. */
  lostEndShare: 0.15,
  delayShare: 0.1,
  maxDelayMs: 500,
  /** Of one job; after these it is left alone. */
  maxLosses: 3,
  meanReplicaLifeMs: 30 * SECOND_MS,
  /** Of GET requests: cut within the time below, if they still go on then. */
  cutShare: 0.1,
  maxCutAfterMs: 2 * SECOND_MS,
} as const;
