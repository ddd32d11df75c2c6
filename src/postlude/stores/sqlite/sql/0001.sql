-- The journal, version 1. Within a major version, migrations only add.
-- Times are microseconds, UTC, but for the runners' leases, which use the boot clock.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- `min_reader` and `min_writer`: the oldest version of Postlude's schema that may read and write this file.
INSERT INTO meta VALUES ('version', 1), ('min_reader', 1), ('min_writer', 1);

CREATE TABLE task_name (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,          -- the order of jobs; never used twice
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    task INTEGER NOT NULL REFERENCES task_name,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 15),
    priority INTEGER NOT NULL DEFAULT 0,
    due INTEGER,
    fence INTEGER NOT NULL DEFAULT 0,               -- how often it was claimed
    failures INTEGER NOT NULL DEFAULT 0,            -- attempts used up
    deaths INTEGER NOT NULL DEFAULT 0,              -- processes that died of it
    suspect INTEGER NOT NULL DEFAULT 0,             -- it was running when a process died
    runner INTEGER,
    created INTEGER NOT NULL,
    started INTEGER,
    finished INTEGER,
    once INTEGER NOT NULL DEFAULT 0,                -- delivery at most once
    followed INTEGER NOT NULL DEFAULT 0,            -- the job with the next seq waits for its first attempt
    reason TEXT,
    key TEXT,
    lane TEXT,                                      -- its task has a limit: jobs of one task and lane count together
    owner TEXT,
    request BLOB,
    parent INTEGER,
    pending INTEGER,
    cancel_asked INTEGER,
    version INTEGER,
    release TEXT,                                   -- of a parked job: what of the release did not fit
    opts TEXT,                                      -- what its call set of its policy
    context TEXT                                    -- values of context variables
);

CREATE INDEX job_ready ON job (queue, suspect, priority, seq) WHERE state = 0;
CREATE INDEX job_scheduled ON job (due) WHERE state = 1;
CREATE INDEX job_blocked ON job (due) WHERE state = 2 AND due IS NOT NULL;
CREATE INDEX job_blocked_why ON job (task, reason) WHERE state = 2;
CREATE INDEX job_running ON job (runner) WHERE state = 3;
CREATE INDEX job_parked ON job (task, release) WHERE state = 4;
CREATE INDEX job_failed ON job (finished) WHERE state = 9;
CREATE INDEX job_cancelled ON job (finished) WHERE state = 10;
CREATE UNIQUE INDEX job_key ON job (key, task) WHERE key IS NOT NULL AND state < 5;
CREATE INDEX job_lane ON job (task, lane, state, reason, priority, seq) WHERE lane IS NOT NULL AND state < 4;
CREATE INDEX job_asked ON job (runner) WHERE state = 3 AND cancel_asked IS NOT NULL;

-- Beside the job, because a finish rewrites the job's row and must not rewrite its arguments.
CREATE TABLE payload (
    seq INTEGER PRIMARY KEY,
    codec INTEGER NOT NULL,
    args BLOB NOT NULL
);

CREATE TABLE result (
    seq INTEGER PRIMARY KEY,
    value BLOB NOT NULL
);

-- How far a job last said that it was.
CREATE TABLE progress (
    seq INTEGER PRIMARY KEY,
    done REAL NOT NULL,
    total REAL,
    message TEXT,
    at INTEGER NOT NULL
);

-- What an attempt logged: a JSON array of [time, level, logger, message].
CREATE TABLE log (
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    lines TEXT NOT NULL
);

CREATE INDEX log_job ON log (job);

-- Only attempts that did not succeed.
CREATE TABLE attempt (
    job INTEGER NOT NULL,
    n INTEGER NOT NULL,
    started INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    error TEXT NOT NULL,
    traceback TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    PRIMARY KEY (job, n)
);

CREATE TABLE runner (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,                     -- names its file of start marks
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot TEXT NOT NULL,
    started INTEGER NOT NULL,
    renewed INTEGER NOT NULL,                       -- boot clock
    lease INTEGER NOT NULL,
    release TEXT NOT NULL
);

-- An id that stands for another job's.
CREATE TABLE alias (
    id BLOB PRIMARY KEY,
    job INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX alias_job ON alias (job);

-- How many jobs of each task are in each state.
CREATE TABLE stat (
    task INTEGER NOT NULL,
    state INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (task, state)
) WITHOUT ROWID;

-- What the release that was started last says of its tasks and queues, and how far their rates are used up.
CREATE TABLE bounds (
    kind TEXT NOT NULL,                             -- 'task' or 'queue'
    name TEXT NOT NULL,
    concurrent INTEGER,
    every INTEGER,                                  -- microseconds between starts
    burst INTEGER NOT NULL,
    tat INTEGER NOT NULL DEFAULT 0,                 -- when the bucket is full again
    turn INTEGER NOT NULL DEFAULT 0,                -- the next turn that can be given away
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

CREATE TABLE pause (
    kind TEXT NOT NULL,                             -- 'task' or 'queue'
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
