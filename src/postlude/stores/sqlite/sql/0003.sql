-- Version 3: who follows whom is a column, and room for what comes before a first release binds the schema.

-- A job is found by what it follows; `followed` says of the other whether to look.
ALTER TABLE job ADD COLUMN follows INTEGER;             -- the seq of the job whose first attempt it waits for
ALTER TABLE job ADD COLUMN position INTEGER;            -- its place among those ready, by which a claim takes it; null: its seq
ALTER TABLE job ADD COLUMN published_at INTEGER;        -- when its id was last given to a broker
ALTER TABLE job ADD COLUMN publishes INTEGER;           -- how often that was

ALTER TABLE attempt ADD COLUMN fingerprint TEXT;        -- equal for failures that are one: its type and where it was raised

-- What hardly any job has, beside its row: that is rewritten with each change of state.
CREATE TABLE about (
    seq INTEGER PRIMARY KEY,
    batch BLOB,                                         -- the group of jobs that it belongs to
    tags TEXT,                                          -- a JSON array of texts
    meta TEXT,                                          -- a JSON object, for people
    cancelled_by TEXT                                   -- who asked it to stop
);

CREATE INDEX about_batch ON about (batch) WHERE batch IS NOT NULL;

-- Until now who follows was the next one by `seq`, past those in between that were cancelled.
UPDATE job SET follows = (
    WITH RECURSIVE before (seq, state) AS (
        SELECT one.seq, one.state FROM job AS one WHERE one.seq = job.seq - 1 AND one.followed
        UNION ALL
        SELECT one.seq, one.state FROM before JOIN job AS one ON one.seq = before.seq - 1
        WHERE before.state = 10 AND one.followed
    )
    SELECT seq FROM before WHERE state <> 10
)
WHERE state = 2 AND reason IS NULL;

CREATE INDEX job_follows ON job (follows) WHERE state = 2 AND follows IS NOT NULL;
CREATE INDEX job_published ON job (queue, published_at) WHERE state = 5;

-- Unfinished is whatever is below 8: a published job (5) has its key and its place in its lane.
DROP INDEX job_key;
CREATE UNIQUE INDEX job_key ON job (key, task) WHERE key IS NOT NULL AND state < 8;
DROP INDEX job_lane;
CREATE INDEX job_lane ON job (task, lane, state, reason, priority, seq) WHERE lane IS NOT NULL AND state < 8;

ALTER TABLE runner ADD COLUMN kind TEXT NOT NULL DEFAULT 'app';     -- 'app', 'inline', 'worker' ...
ALTER TABLE runner ADD COLUMN parent INTEGER;           -- the runner that it is a child of
ALTER TABLE runner ADD COLUMN queues TEXT;              -- which queues it claims from, as JSON; null: all
ALTER TABLE runner ADD COLUMN slots INTEGER;            -- how many jobs it can run at once; null: it does not say
ALTER TABLE runner ADD COLUMN last_message INTEGER;     -- when a broker last gave it something

UPDATE meta SET value = 3 WHERE key = 'min_writer';

UPDATE runner SET kind = 'inline' WHERE release = 'visits';

-- Who does, for all, what one process is to do.
CREATE TABLE lead (
    duty TEXT PRIMARY KEY,
    runner INTEGER NOT NULL,
    until INTEGER NOT NULL                              -- boot clock, of its runner's boot
) WITHOUT ROWID;

-- The times of schedules that have become jobs: each once.
CREATE TABLE schedule (
    name TEXT NOT NULL,
    due INTEGER NOT NULL,
    job INTEGER,
    PRIMARY KEY (name, due)
) WITHOUT ROWID;

-- What ended in each minute. Rows are added to, and outlive the jobs.
CREATE TABLE minute (
    minute INTEGER NOT NULL,                            -- since 1970
    task INTEGER NOT NULL,
    queue TEXT NOT NULL,
    outcome TEXT NOT NULL,
    n INTEGER NOT NULL,
    ran INTEGER NOT NULL,                               -- microseconds, of all together
    waited INTEGER NOT NULL,
    PRIMARY KEY (minute, task, queue, outcome)
) WITHOUT ROWID;

-- How many of them took about as long: bucket k ends at 2^k milliseconds.
CREATE TABLE minute_bucket (
    minute INTEGER NOT NULL,
    task INTEGER NOT NULL,
    queue TEXT NOT NULL,
    outcome TEXT NOT NULL,
    measure TEXT NOT NULL,                              -- 'ran' or 'waited'
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (minute, task, queue, outcome, measure, bucket)
) WITHOUT ROWID;
