-- Version 3: the schedules that releases declare, beside the times that have become jobs.

CREATE TABLE $schema.declared_schedule (
    name text PRIMARY KEY,
    application text NOT NULL,
    task text NOT NULL,
    queue text NOT NULL,
    rule text NOT NULL,
    zone text NOT NULL,
    missed text NOT NULL,
    leeway bigint NOT NULL,                            -- microseconds
    args bytea NOT NULL,
    terms text NOT NULL,                                -- a JSON object: what its jobs are stored with
    done bigint NOT NULL,                              -- due times up to then are dealt with
    next bigint,                                       -- the next one; null: there is none
    paused bigint,                                     -- since when; null: it is not
    removed bigint                                     -- since when no release in force has it; null: one does
);

-- When each set of an application's schedules was declared for the first time, in an order of its own.
CREATE TABLE $schema.schedule_set (
    application text NOT NULL,
    digest text NOT NULL,
    first bigint NOT NULL,
    PRIMARY KEY (application, digest)
);

CREATE TABLE $schema.schedule_declarer (
    runner bigint NOT NULL,
    application text NOT NULL,
    digest text NOT NULL,
    PRIMARY KEY (runner, application)
);
