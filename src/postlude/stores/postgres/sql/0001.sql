-- Version 1. `$schema` is the name of the journal's schema. Times are microseconds since 1970, UTC.

CREATE TABLE $schema.meta (
    key text PRIMARY KEY,
    value text NOT NULL
);

-- `min_reader` and `min_writer`: the oldest version of the schema whose releases may read and write this journal.
INSERT INTO $schema.meta VALUES ('min_reader', '1'), ('min_writer', '1');

CREATE TABLE $schema.task_name (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE SEQUENCE $schema.job_seq;

CREATE TABLE $schema.job (
    seq bigint PRIMARY KEY DEFAULT nextval('$schema.job_seq'),
    id bytea NOT NULL,
    task integer NOT NULL,
    queue text NOT NULL,
    state smallint NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    due bigint,
    fence bigint NOT NULL DEFAULT 0,                -- how often it was claimed
    failures integer NOT NULL DEFAULT 0,            -- attempts used up
    deaths integer NOT NULL DEFAULT 0,              -- processes that died of it
    suspect boolean NOT NULL DEFAULT false,         -- it was running when a process died
    runner bigint,
    created bigint NOT NULL,
    started bigint,
    finished bigint,
    once boolean NOT NULL DEFAULT false,            -- delivery at most once
    followed boolean NOT NULL DEFAULT false,        -- another one waits for its first attempt
    follows bigint,                                 -- the seq of the job whose first attempt it waits for
    reason text,
    key text,
    lane text,                                      -- its task has a limit: jobs of one task and lane count together
    owner text,
    request bytea,
    cancel_asked bigint,
    release text,                                   -- of a parked job: what of the release did not fit
    opts text,                                      -- what its call set of its policy
    context text,                                   -- values of context variables
    position bigint,                                -- its place among those ready; null: its seq
    published_at bigint,
    publishes integer
);

CREATE UNIQUE INDEX job_id ON $schema.job (id);
CREATE INDEX job_ready ON $schema.job (queue, suspect, priority, seq) WHERE state = 0;
CREATE INDEX job_scheduled ON $schema.job (due) WHERE state = 1;
CREATE INDEX job_blocked ON $schema.job (due) WHERE state = 2 AND due IS NOT NULL;
CREATE INDEX job_blocked_why ON $schema.job (task, reason) WHERE state = 2;
CREATE INDEX job_running ON $schema.job (runner) WHERE state = 3;
CREATE INDEX job_parked ON $schema.job (task, release) WHERE state = 4;
CREATE INDEX job_failed ON $schema.job (finished) WHERE state = 9;
CREATE INDEX job_cancelled ON $schema.job (finished) WHERE state = 10;
CREATE UNIQUE INDEX job_key ON $schema.job (key, task) WHERE key IS NOT NULL AND state < 8;
CREATE INDEX job_lane ON $schema.job (task, lane, state, reason, priority, seq) WHERE lane IS NOT NULL AND state < 8;
CREATE INDEX job_follows ON $schema.job (follows) WHERE follows IS NOT NULL;

-- Each change of state leaves a dead row, and what is claimed is looked for among them.
ALTER TABLE $schema.job SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 1
);

-- Beside the job, because a finish rewrites the job's row and must not rewrite its arguments.
CREATE TABLE $schema.payload (
    seq bigint PRIMARY KEY,
    codec smallint NOT NULL,
    args bytea NOT NULL
);

CREATE TABLE $schema.result (
    seq bigint PRIMARY KEY,
    value bytea NOT NULL
);

-- How far a job last said that it was.
CREATE TABLE $schema.progress (
    seq bigint PRIMARY KEY,
    done double precision NOT NULL,
    total double precision,
    message text,
    at bigint NOT NULL
);

-- What an attempt logged: a JSON array of [time, level, logger, message].
CREATE TABLE $schema.log (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job bigint NOT NULL,
    attempt integer NOT NULL,
    lines text NOT NULL
);

CREATE INDEX log_job ON $schema.log (job);

-- Only attempts that did not succeed.
CREATE TABLE $schema.attempt (
    job bigint NOT NULL,
    n integer NOT NULL,
    started bigint NOT NULL,
    finished bigint NOT NULL,
    error text NOT NULL,
    traceback text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    fingerprint text,
    PRIMARY KEY (job, n)
);

-- Why a parked job is parked, in a sentence.
CREATE TABLE $schema.note (
    seq bigint PRIMARY KEY,
    text text NOT NULL
);

CREATE TABLE $schema.runner (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token text NOT NULL,                            -- in the names of its process's sessions
    host text NOT NULL,
    pid integer NOT NULL,
    started bigint NOT NULL,
    renewed bigint NOT NULL,
    lease bigint NOT NULL,
    release text NOT NULL,
    kind text NOT NULL,
    queues text,
    slots integer,
    parent bigint,
    draining boolean NOT NULL DEFAULT false,
    last_message bigint
);

-- Which jobs a runner has started: written for those alone that run for longer than a moment.
CREATE TABLE $schema.start (
    seq bigint PRIMARY KEY,
    runner bigint NOT NULL,
    at bigint NOT NULL
);

CREATE INDEX start_runner ON $schema.start (runner);

CREATE TABLE $schema.lead (
    duty text PRIMARY KEY,
    runner bigint NOT NULL,
    until bigint NOT NULL
);

-- An id that stands for another job's.
CREATE TABLE $schema.alias (
    id bytea PRIMARY KEY,
    job bigint NOT NULL,
    owner text                                      -- of the call that had this id
);

CREATE INDEX alias_job ON $schema.alias (job);

-- How many jobs of each task are in each state.
CREATE TABLE $schema.stat (
    task integer NOT NULL,
    state smallint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (task, state)
);

-- How many jobs have left each state in which they had ended: by being deleted, or run again.
CREATE TABLE $schema.gone (
    task integer NOT NULL,
    queue text NOT NULL,
    state text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (task, queue, state)
);

-- What the release that was started last says of its tasks and queues, and how far their rates are used up.
CREATE TABLE $schema.bounds (
    kind text NOT NULL,                             -- 'task' or 'queue'
    name text NOT NULL,
    concurrent integer,
    every bigint,                                   -- microseconds between starts
    burst integer NOT NULL,
    tat bigint NOT NULL DEFAULT 0,                  -- when the bucket is full again
    turn bigint NOT NULL DEFAULT 0,                 -- the next turn that can be given away
    PRIMARY KEY (kind, name)
);

CREATE TABLE $schema.pause (
    kind text NOT NULL,                             -- 'task' or 'queue'
    name text NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE $schema.schedule (
    name text NOT NULL,
    due bigint NOT NULL,
    job bigint,
    PRIMARY KEY (name, due)
);

-- A named argument as its JSON text; null where the arguments are no JSON, or there is none of this name.
CREATE FUNCTION $schema.named_argument(args bytea, name text) RETURNS text LANGUAGE plpgsql STABLE AS $body$
BEGIN
    RETURN (convert_from(args, 'UTF8')::json -> 'k' -> name)::text;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$body$;
