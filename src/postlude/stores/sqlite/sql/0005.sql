-- Version 5: the schedules that releases declare, beside the times that have become jobs.

CREATE TABLE declared_schedule (
    name TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    task TEXT NOT NULL,
    queue TEXT NOT NULL,
    rule TEXT NOT NULL,
    zone TEXT NOT NULL,
    missed TEXT NOT NULL,
    leeway INTEGER NOT NULL,                            -- microseconds
    args BLOB NOT NULL,
    terms TEXT NOT NULL,                                -- a JSON object: what its jobs are stored with
    done INTEGER NOT NULL,                              -- due times up to then are dealt with
    next INTEGER,                                       -- the next one; null: there is none
    paused INTEGER,                                     -- since when; null: it is not
    removed INTEGER                                     -- since when no release in force has it; null: one does
) WITHOUT ROWID;

-- When each set of an application's schedules was declared for the first time, in an order of its own.
CREATE TABLE schedule_set (
    application TEXT NOT NULL,
    digest TEXT NOT NULL,
    first INTEGER NOT NULL,
    PRIMARY KEY (application, digest)
) WITHOUT ROWID;

CREATE TABLE schedule_declarer (
    runner INTEGER NOT NULL,
    application TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (runner, application)
) WITHOUT ROWID;
