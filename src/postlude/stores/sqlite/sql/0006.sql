-- Version 6: sums by the minute, when a first attempt was due, what failures have in common, what people have done.

-- What has happened in each minute since 1970; minute 0: ever. Rows are added to, and outlive the jobs.
-- (`minute` and `minute_bucket` are of older releases, which add what they find under minute 0 to the totals.)
CREATE TABLE sums (
    minute INTEGER NOT NULL,
    task INTEGER NOT NULL,
    queue TEXT NOT NULL,
    outcome TEXT NOT NULL,
    n INTEGER NOT NULL,                                 -- how often
    ran INTEGER NOT NULL,                               -- microseconds, of all that ran
    waited INTEGER NOT NULL,                            -- microseconds, of all first attempts
    -- of them, by how long they ran: the buckets of `history.RUN`
    run_0 INTEGER NOT NULL, run_1 INTEGER NOT NULL, run_2 INTEGER NOT NULL, run_3 INTEGER NOT NULL,
    run_4 INTEGER NOT NULL, run_5 INTEGER NOT NULL, run_6 INTEGER NOT NULL, run_7 INTEGER NOT NULL,
    run_8 INTEGER NOT NULL, run_9 INTEGER NOT NULL, run_10 INTEGER NOT NULL, run_11 INTEGER NOT NULL,
    run_12 INTEGER NOT NULL, run_13 INTEGER NOT NULL, run_14 INTEGER NOT NULL, run_15 INTEGER NOT NULL,
    run_16 INTEGER NOT NULL,
    -- of them, by how long they had waited: those of `history.WAIT`
    wait_0 INTEGER NOT NULL, wait_1 INTEGER NOT NULL, wait_2 INTEGER NOT NULL, wait_3 INTEGER NOT NULL,
    wait_4 INTEGER NOT NULL, wait_5 INTEGER NOT NULL, wait_6 INTEGER NOT NULL, wait_7 INTEGER NOT NULL,
    wait_8 INTEGER NOT NULL, wait_9 INTEGER NOT NULL, wait_10 INTEGER NOT NULL, wait_11 INTEGER NOT NULL,
    wait_12 INTEGER NOT NULL, wait_13 INTEGER NOT NULL, wait_14 INTEGER NOT NULL, wait_15 INTEGER NOT NULL,
    wait_16 INTEGER NOT NULL, wait_17 INTEGER NOT NULL, wait_18 INTEGER NOT NULL,
    PRIMARY KEY (minute, task, queue, outcome)
) WITHOUT ROWID;

-- When its first attempt was due, if it was to start later than at once: `due` is empty once that is over.
ALTER TABLE job ADD COLUMN first_due INTEGER;

-- What jobs that have failed have in common beside their task: the exception's class, and where the application's own
-- code has raised it. A row for each job that has failed, none for others.
CREATE TABLE failure_kind (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    UNIQUE (kind, place)
);

CREATE TABLE failure (
    seq INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL
);

-- What people have done, and who: with the act, in the same commit.
CREATE TABLE audit (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,                             -- of the act: its pieces are one line
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,                                  -- 'cancel', 'retry', 'delete', 'pause', 'resume', 'prune'
    meant TEXT NOT NULL,                                -- which jobs, in the words of who has done it
    done INTEGER NOT NULL,
    not_done INTEGER NOT NULL
);
