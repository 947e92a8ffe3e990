-- The index of a Sheratan workspace. Everything here follows from the ledger; deleting the file loses nothing but time.
-- Times are INTEGER microseconds since 1970 UTC, 0 where there is none. Flags are 0 and 1. '' is "does not apply".
-- The CHECKs restate the life cycle of package job and what Apply guarantees; tests compare the lists with the Go ones.

CREATE TABLE jobs (
  -- what the proposal was received as; never changes
  seq               INTEGER PRIMARY KEY, -- number of its PROPOSAL_RECEIVED in the ledger
  id                TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*'),
  source            TEXT NOT NULL,
  bucket            TEXT NOT NULL,       -- of rate_limits: the source, or *
  kind              TEXT NOT NULL,
  priority          INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
  class             INTEGER NOT NULL CHECK (class = (priority > 0)),
  timeout_seconds   INTEGER NOT NULL,
  max_retries       INTEGER NOT NULL,
  retry_backoff     TEXT NOT NULL,
  on_dependency_failure TEXT NOT NULL CHECK (on_dependency_failure IN ('fail', 'skip', 'wait')),
  idempotency_key   TEXT NOT NULL,
  payload_sha256    TEXT NOT NULL,
  concurrency_key   TEXT NOT NULL,       -- '' where it has none
  task_id           TEXT NOT NULL,
  mission_id        TEXT NOT NULL,
  member_of         TEXT NOT NULL,       -- the mission to which it counts, as one of its jobs
  track              TEXT NOT NULL,       -- '' or that mission, where it limits how many run at a time
  trace_id          TEXT NOT NULL,
  parent_id         TEXT NOT NULL,
  depth             INTEGER NOT NULL,
  revises           TEXT NOT NULL,
  token             TEXT NOT NULL,       -- of the claim of the inbox file
  line              INTEGER NOT NULL,    -- in it, from 1; 0 where it held one proposal
  created_at        INTEGER NOT NULL,
  intake_path       TEXT NOT NULL,       -- where the document lies: segment, place in it, digest
  intake_offset     INTEGER NOT NULL,
  intake_bytes      INTEGER NOT NULL,
  intake_sha256     TEXT NOT NULL,

  -- what it depends on; a function of deps and of the status of the jobs named there
  deps_left         INTEGER NOT NULL CHECK (deps_left >= 0),
  dep_failed        TEXT NOT NULL,       -- the first, by name, of those that failed or were cancelled

  -- what was decided about it
  status            TEXT NOT NULL CHECK (status IN ('pending', 'throttled', 'running', 'completed', 'failed', 'quarantined', 'cancelled')),
  zone              TEXT NOT NULL CHECK (zone = CASE status
                      WHEN 'quarantined' THEN 'blocked'
                      WHEN 'completed' THEN 'outbox' WHEN 'failed' THEN 'outbox' WHEN 'cancelled' THEN 'outbox'
                      ELSE CASE zone WHEN 'inbox' THEN 'inbox' ELSE 'approved' END END),
  updated_at        INTEGER NOT NULL,
  rules_sha256      TEXT NOT NULL,
  verdict           TEXT NOT NULL,
  next_action       TEXT NOT NULL,
  basis             TEXT NOT NULL,       -- of the approval: gates, operator or auditor
  decided_by        TEXT NOT NULL,
  accepted_at       INTEGER NOT NULL,    -- 0 where it was never approved, or blocked since
  rerun             INTEGER NOT NULL CHECK (rerun IN (0, 1)),
  report_path       TEXT NOT NULL,
  report_offset     INTEGER NOT NULL,
  report_bytes      INTEGER NOT NULL,
  report_sha256     TEXT NOT NULL,

  -- its place in the queue
  ready             INTEGER NOT NULL CHECK (ready IN (0, 1)),
  ready_at          INTEGER NOT NULL,    -- when it became ready last
  due_at            INTEGER NOT NULL,
  wake_at           INTEGER NOT NULL,
  lane_waits        INTEGER NOT NULL CHECK (lane_waits IN (0, 1)), -- for the jobs with the same concurrency key
  holds_key         INTEGER NOT NULL CHECK (holds_key IN (0, 1)),
  joined_to         TEXT NOT NULL,       -- the job whose end it shares
  revised_by        TEXT NOT NULL,

  -- its attempts
  attempt           INTEGER NOT NULL,    -- number of the last one, from 1
  host              TEXT NOT NULL,       -- that has it now; '' without a lease
  lease_until       INTEGER NOT NULL,
  runner_boot       TEXT NOT NULL,
  runner_pid        INTEGER NOT NULL,
  runner_start      INTEGER NOT NULL,
  waited_ms         INTEGER NOT NULL,    -- from being ready to being dispatched, of the last attempt
  retry_count       INTEGER NOT NULL,
  last_retry_at     INTEGER NOT NULL,
  executed_by       TEXT NOT NULL,
  execution_started_at   INTEGER NOT NULL,
  execution_completed_at INTEGER NOT NULL,
  exit_code         INTEGER NOT NULL,
  error             TEXT NOT NULL,
  error_code        TEXT NOT NULL,
  result_path       TEXT NOT NULL,
  result_offset     INTEGER NOT NULL,
  result_bytes      INTEGER NOT NULL,
  result_sha256     TEXT NOT NULL,

  CHECK (ready = 0 OR (status = 'pending' AND zone = 'approved' AND host = '' AND joined_to = '')),
  CHECK (host = '' OR status IN ('pending', 'running')),
  CHECK (lane_waits = 0 OR (status = 'throttled' AND concurrency_key <> ''))
) STRICT;

-- The claim order. Jobs that wait for anything are not in it, so that they cost a claim nothing. It begins with the bucket and
-- the source because these are what can be full or paused: a claim merges the heads of those that are neither. Jobs of a mission
-- that limits how many run at a time have a track of their own.
CREATE INDEX jobs_claim ON jobs (bucket, source, class, due_at) WHERE status = 'pending' AND ready = 1 AND track = '';
CREATE INDEX jobs_claim_track ON jobs (track, class, due_at) WHERE status = 'pending' AND ready = 1 AND track <> '';
-- Those that must not begin any more when their mission is stopped.
CREATE INDEX jobs_member_waiting ON jobs (member_of)
  WHERE member_of <> '' AND host = '' AND status IN ('pending', 'throttled') AND zone = 'approved';
-- Those that an event has to make ready when their time has come.
CREATE INDEX jobs_wake ON jobs (wake_at)
  WHERE ready = 0 AND deps_left = 0 AND host = '' AND joined_to = '' AND zone = 'approved' AND status = 'pending';
-- Those that wait for a rate window: a bucket's are given to its sources in turn.
CREATE INDEX jobs_throttled ON jobs (bucket, source, class, due_at)
  WHERE status = 'throttled' AND lane_waits = 0 AND deps_left = 0 AND host = '' AND joined_to = '' AND zone = 'approved';
-- Those that wait for others with the same concurrency key, in the order in which they will have their turn.
CREATE INDEX jobs_lane ON jobs (source, concurrency_key, class, due_at) WHERE lane_waits = 1;
-- Those that have to fail or be skipped because a dependency failed.
CREATE INDEX jobs_dep_failed ON jobs (zone)
  WHERE dep_failed <> '' AND on_dependency_failure <> 'wait' AND host = '' AND zone = 'approved' AND status IN ('pending', 'throttled');
CREATE INDEX jobs_lease ON jobs (host, lease_until) WHERE host <> '';
CREATE INDEX jobs_joined ON jobs (joined_to) WHERE joined_to <> '' AND status IN ('pending', 'throttled');
CREATE INDEX jobs_inbox ON jobs (zone) WHERE zone = 'inbox';
CREATE INDEX jobs_blocked ON jobs (next_action) WHERE zone = 'blocked';
-- For questions.
CREATE INDEX jobs_status ON jobs (status);
CREATE INDEX jobs_source ON jobs (source);
CREATE INDEX jobs_token ON jobs (token);
CREATE INDEX jobs_trace ON jobs (trace_id) WHERE trace_id <> id;
CREATE INDEX jobs_member ON jobs (member_of) WHERE member_of <> '';
CREATE INDEX jobs_mission ON jobs (mission_id) WHERE mission_id <> '';

CREATE TABLE deps (
  job               INTEGER NOT NULL,    -- seq of the one that waits
  depends_on        TEXT NOT NULL,       -- id; there may be no such job
  follows           TEXT NOT NULL,       -- id of the job that stands for it: itself, or its last revision
  done              INTEGER NOT NULL CHECK (done IN (0, 1)), -- that one is completed
  PRIMARY KEY (job, depends_on)
) STRICT, WITHOUT ROWID;
CREATE INDEX deps_follows ON deps (follows);

-- Keys that proposals chose. That of a job without one is its own id, and is not in this table: see KeyHolder.
CREATE TABLE keys (
  source            TEXT NOT NULL,
  key               TEXT NOT NULL,
  holder            TEXT NOT NULL,       -- id of the job
  PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
  id                TEXT PRIMARY KEY,
  status            TEXT NOT NULL CHECK (status IN ('online', 'offline', 'drained', 'revoked')),
  capabilities      TEXT NOT NULL,       -- a JSON array
  max_concurrent    INTEGER NOT NULL,
  updated_at        INTEGER NOT NULL,
  last_heartbeat    INTEGER NOT NULL     -- not an event: a rebuild does not know it
) STRICT, WITHOUT ROWID;

CREATE TABLE rate_limits (
  source            TEXT PRIMARY KEY,    -- the bucket
  max_jobs_per_minute INTEGER NOT NULL,  -- 0 is unlimited
  max_concurrent_jobs INTEGER NOT NULL,
  configured        INTEGER NOT NULL CHECK (configured IN (0, 1)), -- 0: the limits of * or the defaults
  current_count     INTEGER NOT NULL,    -- jobs counted in the window
  window_start      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many jobs with a concurrency key of a source have it, being ready or in flight, and how many wait for it.
CREATE TABLE lanes (
  source            TEXT NOT NULL,
  concurrency_key   TEXT NOT NULL,
  holding           INTEGER NOT NULL CHECK (holding >= 0),
  waiting           INTEGER NOT NULL CHECK (waiting >= 0),
  PRIMARY KEY (source, concurrency_key),
  CHECK (holding + waiting > 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_free ON lanes (source) WHERE holding = 0;

-- How many attempts of a bucket were repeated in its present hour.
CREATE TABLE retries (
  bucket            TEXT PRIMARY KEY,
  current_count     INTEGER NOT NULL CHECK (current_count > 0),
  window_start      INTEGER NOT NULL     -- of the hour: the time of the first of them
) STRICT, WITHOUT ROWID;

-- Which source of a bucket was given a place in a rate window when.
CREATE TABLE turns (
  bucket            TEXT NOT NULL,
  source            TEXT NOT NULL,
  served            INTEGER NOT NULL,    -- number of the event that did so last
  PRIMARY KEY (bucket, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE paused (
  source            TEXT PRIMARY KEY,    -- '' is all of them
  reason            TEXT NOT NULL,
  kill              INTEGER NOT NULL CHECK (kill IN (0, 1)),
  since             INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many jobs there are, so that neither status nor claim counts rows.
CREATE TABLE counts (
  bucket            TEXT NOT NULL,
  source            TEXT NOT NULL,
  inbox             INTEGER NOT NULL CHECK (inbox >= 0),     -- not gated yet; counted as pending as well
  ready             INTEGER NOT NULL CHECK (ready >= 0),     -- may be claimed; counted as pending as well
  in_flight         INTEGER NOT NULL CHECK (in_flight >= 0), -- leased or running
  dispatched        INTEGER NOT NULL,                        -- number of the event that dispatched one of them last; 0 for none
  pending           INTEGER NOT NULL CHECK (pending >= 0),
  throttled         INTEGER NOT NULL CHECK (throttled >= 0),
  running           INTEGER NOT NULL CHECK (running >= 0),
  completed         INTEGER NOT NULL CHECK (completed >= 0),
  failed            INTEGER NOT NULL CHECK (failed >= 0),
  quarantined       INTEGER NOT NULL CHECK (quarantined >= 0),
  cancelled         INTEGER NOT NULL CHECK (cancelled >= 0),
  PRIMARY KEY (bucket, source)
) STRICT, WITHOUT ROWID;

-- How many jobs a mission has, and how many came out of a job: the gates ask this for each proposal.
CREATE TABLE families (
  family            TEXT NOT NULL CHECK (family IN ('mission', 'parent')),
  id                TEXT NOT NULL,
  jobs              INTEGER NOT NULL,
  PRIMARY KEY (family, id)
) STRICT, WITHOUT ROWID;

-- Missions that were submitted, with counts of their jobs: neither a claim nor a list counts rows.
CREATE TABLE missions (
  id                TEXT PRIMARY KEY,
  seq               INTEGER NOT NULL UNIQUE, -- number of its MISSION_SUBMITTED
  source            TEXT NOT NULL,
  title             TEXT NOT NULL,
  submitted_at      INTEGER NOT NULL,
  doc_path          TEXT NOT NULL,       -- the run: segment, place in it, digest
  doc_offset        INTEGER NOT NULL,
  doc_bytes         INTEGER NOT NULL,
  doc_sha256        TEXT NOT NULL,
  tasks             INTEGER NOT NULL,    -- that were declared
  goal              INTEGER NOT NULL CHECK (goal IN (0, 1, 2, 3)), -- none, one that is being worked for, reached, given up
  goal_reason       TEXT NOT NULL DEFAULT '', -- why nobody plans any more
  max_concurrent    INTEGER NOT NULL,    -- 0 is unlimited, also in the budget
  budget_jobs       INTEGER NOT NULL,
  budget_retries    INTEGER NOT NULL,
  budget_ms         INTEGER NOT NULL,
  cancelled         INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
  stop              INTEGER NOT NULL DEFAULT 0 CHECK (stop IN (0, 1, 2)), -- no new jobs (1), none at all (2)
  base_jobs         INTEGER NOT NULL DEFAULT 0, -- what had been used when it was retried as a whole
  base_retries      INTEGER NOT NULL DEFAULT 0,
  base_ms           INTEGER NOT NULL DEFAULT 0,
  started           INTEGER NOT NULL DEFAULT 0, -- jobs with an attempt
  retries           INTEGER NOT NULL DEFAULT 0, -- that nobody asked for
  run_ms            INTEGER NOT NULL DEFAULT 0, -- for which attempts ran that are over
  follow_ups        INTEGER NOT NULL DEFAULT 0, -- jobs that came out of its jobs, without those that were revised
  ready             INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0),
  in_flight         INTEGER NOT NULL DEFAULT 0 CHECK (in_flight >= 0),
  waiting           INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0), -- approved, not over, without a lease
  fresh             INTEGER NOT NULL DEFAULT 0 CHECK (fresh >= 0),   -- of these, without an attempt
  pending           INTEGER NOT NULL DEFAULT 0, -- by status, without those that were revised
  throttled         INTEGER NOT NULL DEFAULT 0,
  running           INTEGER NOT NULL DEFAULT 0,
  completed         INTEGER NOT NULL DEFAULT 0,
  failed            INTEGER NOT NULL DEFAULT 0,
  quarantined       INTEGER NOT NULL DEFAULT 0,
  cancelled_jobs    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- Those of which jobs can be claimed in a track of their own, and those of which waiting jobs have to be cancelled.
CREATE INDEX missions_ready ON missions (id) WHERE ready > 0 AND max_concurrent > 0;
CREATE INDEX missions_goal ON missions (id) WHERE goal = 1;
CREATE INDEX missions_stop ON missions (id) WHERE stop > 0 AND (fresh > 0 OR stop = 2 AND waiting > 0);

CREATE TABLE mission_tasks (
  mission           TEXT NOT NULL,
  place             INTEGER NOT NULL,    -- behind those that it depends on
  task              TEXT NOT NULL,
  job               TEXT NOT NULL,       -- id
  proposal_sha256   TEXT NOT NULL,       -- of the proposal that is meant
  PRIMARY KEY (mission, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX mission_tasks_job ON mission_tasks (job);

-- Second opinions: of each job for which the gates asked for one.
CREATE TABLE audits (
  job               TEXT PRIMARY KEY,    -- id
  attempts          INTEGER NOT NULL,    -- that failed
  due               INTEGER NOT NULL,    -- when one is to be asked for; 0: not any more
  asked_until       INTEGER NOT NULL,    -- until when somebody is asking; 0: nobody is
  request           TEXT NOT NULL,       -- digest of the request that is out, or was last
  auditor           TEXT NOT NULL,       -- actor of the last report
  decision          TEXT NOT NULL,       -- of it
  report_path       TEXT NOT NULL,       -- where it lies
  report_offset     INTEGER NOT NULL,
  report_bytes      INTEGER NOT NULL,
  report_sha256     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX audits_due ON audits (max(due, asked_until)) WHERE due > 0;

-- Attempts of which output files or artifacts are kept, in the order of their ends.
CREATE TABLE kept (
  seq               INTEGER PRIMARY KEY, -- of the event whose result names the files
  job_id            TEXT NOT NULL,
  ended_at          INTEGER NOT NULL,
  bytes             INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;

CREATE TABLE ledger_events (
  seq               INTEGER PRIMARY KEY,
  job               INTEGER NOT NULL,    -- seq of the job, -1 where it concerns none: close in time is close in the index
  v                 INTEGER NOT NULL,
  event             TEXT NOT NULL,
  timestamp         TEXT NOT NULL,
  actor             TEXT NOT NULL,
  job_id            TEXT NOT NULL,
  trace_id          TEXT NOT NULL,
  zone              TEXT NOT NULL,
  id                TEXT NOT NULL,
  artifact_path     TEXT NOT NULL,
  artifact_sha256   TEXT NOT NULL,
  prev              TEXT NOT NULL,
  meta              TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_events_job ON ledger_events (job);
-- The few that concern no job, for whoever asks which rules were loaded last.
CREATE INDEX ledger_events_workspace ON ledger_events (event) WHERE job = -1;

-- How much of the ledger is in here: ledger.Position as text.
CREATE TABLE position (
  one               INTEGER PRIMARY KEY CHECK (one = 1),
  position          TEXT NOT NULL
) STRICT;
