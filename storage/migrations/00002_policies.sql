-- +goose Up

-- Limits of apps.
ALTER TABLE apps
    ADD COLUMN version        integer NOT NULL DEFAULT 1,
    ADD COLUMN max_running    integer NOT NULL DEFAULT 0,          -- 0 = no limit
    ADD COLUMN max_per_second double precision NOT NULL DEFAULT 0, -- 0 = no limit
    ADD COLUMN limited        boolean GENERATED ALWAYS AS (max_running > 0 OR max_per_second > 0) STORED;
CREATE INDEX apps_limited ON apps (name) WHERE limited;

-- What a limited app has in use. Its row is locked by whoever takes or gives.
CREATE TABLE app_usage (
    app         text PRIMARY KEY REFERENCES apps (name),
    tokens      double precision NOT NULL, -- of the bucket, at refilled_at
    refilled_at timestamptz NOT NULL
);
-- Who holds a place among the app's running ones.
CREATE TABLE app_slots (
    execution_id uuid PRIMARY KEY,
    app          text NOT NULL
);
CREATE INDEX app_slots_app ON app_slots (app);
-- Who waits for one, the lowest rank first: scheduled time, in epoch
-- milliseconds, less priority times firjob.PrioritySpan.
CREATE TABLE app_queue (
    app          text NOT NULL,
    rank         bigint NOT NULL,
    execution_id uuid NOT NULL,
    PRIMARY KEY (app, rank, execution_id)
);
CREATE UNIQUE INDEX app_queue_execution ON app_queue (execution_id);

-- Calendars. A version never changes; jobs name the one that they follow.
CREATE TABLE calendars (
    name       text PRIMARY KEY,
    version    integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE TABLE calendar_versions (
    name       text NOT NULL REFERENCES calendars (name),
    version    integer NOT NULL,
    definition json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);

ALTER TABLE jobs
    ADD COLUMN misfire_cap       integer NOT NULL DEFAULT 1000,
    ADD COLUMN start_deadline_ms bigint NOT NULL DEFAULT 0, -- 0 = none
    ADD COLUMN max_running       integer NOT NULL DEFAULT 0,
    ADD COLUMN queue_limit       integer NOT NULL DEFAULT 1000,
    ADD COLUMN replace_after_ms  bigint NOT NULL DEFAULT 30000,
    ADD COLUMN dispatch          json,  -- firjob.Dispatch; NULL: nothing but the route
    ADD COLUMN parents           json,  -- firjob.Parents
    ADD COLUMN has_children      boolean NOT NULL DEFAULT false, -- job_parents names it as a parent
    ADD COLUMN calendars         json,  -- [{"name", "version"}] that it follows
    -- Nothing but the state of the row and the job's own decides its claim.
    ADD COLUMN plain   boolean GENERATED ALWAYS AS
        (overlap = 'allow' AND max_running = 0 AND start_deadline_ms = 0 AND route <> 'broadcast') STORED,
    -- Something may follow from the end of its executions.
    ADD COLUMN follows boolean GENERATED ALWAYS AS
        (kind = 'delay' OR overlap <> 'allow' OR max_running > 0 OR has_children OR route = 'broadcast') STORED;
CREATE INDEX jobs_calendars ON jobs (id) WHERE calendars IS NOT NULL;

-- Which jobs a job is triggered by.
CREATE TABLE job_parents (
    child  integer NOT NULL REFERENCES jobs (id),
    parent integer NOT NULL REFERENCES jobs (id),
    on_end text NOT NULL,
    PRIMARY KEY (parent, child)
);
CREATE INDEX job_parents_child ON job_parents (child);

-- Joins that are under way: which parents of a child have ended in a run
-- (firjob.RunOf). The row of the child that was triggered stays, so that it is
-- triggered once.
CREATE TABLE child_joins (
    run        uuid NOT NULL,
    child      integer NOT NULL,
    ends       json NOT NULL,   -- a list of firjob.ParentEnd
    triggered  uuid,            -- the child's execution
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, child)
);

ALTER TABLE executions
    ADD COLUMN parent        uuid,     -- whose end triggered it, or whose shard it is
    ADD COLUMN root          uuid,     -- of the tree that it belongs to, if it has a parent
    ADD COLUMN inputs        json,     -- a list of firjob.ParentEnd
    -- Of a shard: how many there are; its own number is the ordinal of its id, less
    -- one. Of a broadcast itself: it repeats the failed shards of its origin, which had as many.
    ADD COLUMN shard_total   smallint,
    ADD COLUMN target        text,     -- the address that a shard is meant for
    ADD COLUMN backfill_id   integer,
    ADD COLUMN percent       smallint, -- progress, as the handler last told it
    ADD COLUMN note          text,
    ADD COLUMN progressed_at timestamptz;
CREATE INDEX executions_root ON executions (root, id) WHERE root IS NOT NULL;
CREATE INDEX executions_backfill ON executions (backfill_id, id) WHERE backfill_id IS NOT NULL AND finished_at IS NULL;

-- Who holds the places of a job that bounds its running executions. Its row is
-- locked by whoever takes or gives one.
CREATE TABLE job_slots (
    job_id     integer PRIMARY KEY,
    holders    uuid[] NOT NULL,
    replace_at timestamptz,            -- replace: when who waits takes the place though its holder has not ended
    review_at  timestamptz             -- when to look again who may go on; NULL: when a holder ends
);
CREATE INDEX job_slots_review ON job_slots (review_at) WHERE review_at IS NOT NULL;
INSERT INTO job_slots SELECT job_id, ARRAY[execution_id] FROM overlap_slots;
DROP TABLE overlap_slots;

-- Broadcasts that are under way.
CREATE TABLE broadcasts (
    execution_id uuid PRIMARY KEY,
    total        integer NOT NULL,
    open         integer NOT NULL, -- shards that have not ended
    failed       integer NOT NULL DEFAULT 0
);

CREATE TABLE backfills (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      integer NOT NULL,
    from_at     timestamptz NOT NULL,
    until_at    timestamptz NOT NULL,
    newest      boolean NOT NULL,
    max_running integer NOT NULL,
    params      json,
    timetable   json NOT NULL,         -- what the job's fires followed from when it began: storage.frozenTimes
    fires       integer NOT NULL,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    recorded    integer NOT NULL DEFAULT 0,
    cursor_at   timestamptz,           -- the last fire that was recorded
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    cancelled   boolean NOT NULL DEFAULT false
);
CREATE INDEX backfills_open ON backfills (id) WHERE finished_at IS NULL;
-- Its condition keeps it from being taken for the primary key, as that of executions_job does.
CREATE INDEX backfills_job ON backfills (job_id, id) WHERE job_id > 0;

-- Executions that ended as failed, timed_out or lost, and what was done about it.
CREATE TABLE dead_letters (
    execution_id uuid PRIMARY KEY,
    job_id       integer NOT NULL,
    failed_at    timestamptz NOT NULL,
    redriven_as  uuid,
    dismissed_at timestamptz
);
CREATE INDEX dead_letters_open ON dead_letters (execution_id) WHERE redriven_as IS NULL AND dismissed_at IS NULL;
CREATE INDEX dead_letters_job ON dead_letters (job_id, execution_id);

-- What somebody has set about executors.
CREATE TABLE executor_marks (
    app        text NOT NULL,
    address    text NOT NULL,
    state      text NOT NULL,
    reason     text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, address)
);

ALTER TABLE executors ADD COLUMN labels json;

-- Lines of log, by the day of their execution like the executions themselves.
-- Rows with a token above 0 hold lines. The row with token 0 is the execution's
-- account: bytes that are kept. Rows below it, with the token negated, say up to
-- which number an attempt's lines are no longer kept.
CREATE TABLE execution_logs (
    execution_id uuid NOT NULL,
    token        bigint NOT NULL,
    first        bigint NOT NULL,  -- number of the first line
    last         bigint NOT NULL,
    attempt      smallint NOT NULL,
    bytes        integer NOT NULL,
    lines        text NOT NULL,    -- JSON, a list of firjob.LogLine
    PRIMARY KEY (execution_id, token, first)
) PARTITION BY RANGE (execution_id);

-- Answers to requests that carry an idempotency key. The row is written in the
-- transaction of what was asked for, its answer after that.
CREATE TABLE idempotent_requests (
    key         text NOT NULL,
    operation   text NOT NULL,     -- method and path
    fingerprint bytea NOT NULL,    -- of the body
    status      integer,           -- of the answer; NULL: not written (yet)
    headers     json,
    body        bytea,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, operation)
);
CREATE INDEX idempotent_requests_age ON idempotent_requests (created_at);

-- +goose Down
DROP TABLE idempotent_requests, execution_logs, executor_marks, dead_letters, backfills, broadcasts, child_joins,
    job_parents, calendar_versions, calendars, app_queue, app_slots, app_usage;
CREATE TABLE overlap_slots (
    job_id       integer PRIMARY KEY,
    execution_id uuid NOT NULL
);
INSERT INTO overlap_slots SELECT job_id, holders[1] FROM job_slots WHERE holders <> '{}';
DROP TABLE job_slots;
ALTER TABLE executors DROP COLUMN labels;
DROP INDEX executions_root, executions_backfill;
ALTER TABLE executions DROP COLUMN parent, DROP COLUMN root, DROP COLUMN inputs, DROP COLUMN shard_total, DROP COLUMN target,
    DROP COLUMN backfill_id, DROP COLUMN percent, DROP COLUMN note, DROP COLUMN progressed_at;
ALTER TABLE jobs DROP COLUMN plain, DROP COLUMN follows, DROP COLUMN misfire_cap, DROP COLUMN start_deadline_ms,
    DROP COLUMN max_running, DROP COLUMN queue_limit, DROP COLUMN replace_after_ms, DROP COLUMN dispatch,
    DROP COLUMN parents, DROP COLUMN has_children, DROP COLUMN calendars;
DROP INDEX apps_limited;
ALTER TABLE apps DROP COLUMN limited, DROP COLUMN version, DROP COLUMN max_running, DROP COLUMN max_per_second;
