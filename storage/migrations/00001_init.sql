-- +goose Up

CREATE TYPE execution_state AS ENUM (
    'planned', 'running',
    'succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'skipped', 'missed', 'superseded');

-- Fencing tokens. One sequence for all executions, so that a resource that two
-- executions of a job write can order them by token.
CREATE SEQUENCE fence;

CREATE TABLE settings (
    key   text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE apps (
    name       text PRIMARY KEY,
    auth_hash  bytea NOT NULL,  -- firjob.AuthHash of the secret
    sign_key   bytea NOT NULL,  -- firjob.SigningKey of the secret
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE jobs (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app           text NOT NULL REFERENCES apps (name),
    name          text NOT NULL,
    handler       text NOT NULL,
    params        json,
    kind          text NOT NULL,        -- of the schedule
    schedule      json NOT NULL,
    anchor        timestamptz NOT NULL, -- where "every" counts from
    misfire       text NOT NULL,
    grace_ms      bigint NOT NULL,
    overlap       text NOT NULL,
    route         text NOT NULL,
    delivery      text NOT NULL,
    timeout_ms    bigint NOT NULL,      -- 0 = none
    retry         json NOT NULL,
    priority      smallint NOT NULL,
    enabled       boolean NOT NULL,
    paused_reason text NOT NULL DEFAULT '',
    version       integer NOT NULL DEFAULT 1,
    fires_since   integer NOT NULL DEFAULT 1, -- the version since which its fires are what they are
    -- The first fire that has no execution yet. NULL while paused, deleted,
    -- manual, over, or (delay) while an execution runs.
    next_fire_at  timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX jobs_name ON jobs (app, name) WHERE deleted_at IS NULL;
CREATE INDEX jobs_due ON jobs (next_fire_at) WHERE next_fire_at IS NOT NULL;

CREATE TABLE executions (
    id          uuid NOT NULL,
    job_id      integer NOT NULL,
    job_version integer NOT NULL,      -- 0: runs whatever the job says when it is claimed
    attempt     smallint NOT NULL DEFAULT 0,
    lost        smallint NOT NULL DEFAULT 0, -- of the attempts, those without an answer
    state       execution_state NOT NULL DEFAULT 'planned',
    -- Something follows from its end: an overlap slot to hand on, or the next
    -- fire of a delay job. Set by the claim.
    follow      boolean NOT NULL DEFAULT false,
    waiting     boolean NOT NULL DEFAULT false, -- for its turn in the overlap queue
    cancel      boolean NOT NULL DEFAULT false, -- somebody asked for it
    token       bigint NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL,
    claimed_at  timestamptz,
    lease_until timestamptz,
    deadline_at timestamptz,
    started_at  timestamptz,
    finished_at timestamptz,           -- NULL exactly while the state is not final
    claimed_by  text,                  -- replica
    claim_call  text,                  -- which of the replica's claims it was
    executor    text,                  -- address, as a beat or the result told it
    incarnation text,
    reason      text,
    params      json,                  -- NULL: the job's
    result      json,
    attempts    jsonb,                 -- those before the present one
    origin      uuid,                  -- the execution that this one retries
    missed_until timestamptz,          -- this record stands for missed_count fires up to here
    missed_count integer,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- Every row is in it. The condition, which a query must repeat, keeps the index
-- from being taken for the primary key: in a partition that is empty when a plan
-- is made the two cost the same, and the plan outlives that.
CREATE INDEX executions_job ON executions (job_id, id) WHERE job_id > 0;
-- What is not final, in the order of scheduled time, but for the overlap queues,
-- which may be long and wait for long. A claim changes none of its columns and so
-- stays a heap-only update.
CREATE INDEX executions_open ON executions (id) WHERE finished_at IS NULL AND NOT waiting;
-- The overlap queues.
CREATE INDEX executions_waiting ON executions (job_id, id) WHERE waiting;

-- Which execution of a job with an overlap rule is the running one.
CREATE TABLE overlap_slots (
    job_id       integer PRIMARY KEY,
    execution_id uuid NOT NULL
);

-- Triggers asked for a time beyond the horizon.
CREATE TABLE later_triggers (
    id           uuid PRIMARY KEY,     -- of the execution to be
    job_id       integer NOT NULL,
    fire_at      timestamptz NOT NULL,
    params       json,
    cancelled_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX later_triggers_due ON later_triggers (fire_at) WHERE cancelled_at IS NULL;

CREATE TABLE idempotency_keys (
    job_id       integer NOT NULL,
    key          text NOT NULL,
    fingerprint  bytea NOT NULL,       -- of the request
    execution_id uuid NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- The registry as it was a moment ago, for the time without Redis.
CREATE TABLE executors (
    app         text NOT NULL,
    address     text NOT NULL,
    incarnation text NOT NULL,
    version     text NOT NULL,
    capacity    integer NOT NULL,
    queue       integer NOT NULL,
    running     integer NOT NULL,
    state       text NOT NULL,
    started_at  timestamptz NOT NULL,
    last_beat   timestamptz NOT NULL,
    PRIMARY KEY (app, address)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE executors, idempotency_keys, later_triggers, overlap_slots, executions, jobs, apps, settings;
DROP SEQUENCE fence;
DROP TYPE execution_state;
