-- Version 5: sums by the minute, when a first attempt was due, what failures have in common, what people have done.

-- What has happened in each minute since 1970; minute 0: ever. Rows are added to, and outlive the jobs. `part`
-- keeps sessions apart: those that commit at the same time must not wait for one another's rows.
CREATE TABLE $schema.sums (
    minute bigint NOT NULL,
    task integer NOT NULL,
    queue text NOT NULL,
    outcome text NOT NULL,
    part smallint NOT NULL DEFAULT 0,
    n bigint NOT NULL,                                  -- how often
    ran bigint NOT NULL,                                -- microseconds, of all that ran
    waited bigint NOT NULL,                             -- microseconds, of all first attempts
    -- of them, by how long they ran: the buckets of `history.RUN`
    run_0 bigint NOT NULL, run_1 bigint NOT NULL, run_2 bigint NOT NULL, run_3 bigint NOT NULL,
    run_4 bigint NOT NULL, run_5 bigint NOT NULL, run_6 bigint NOT NULL, run_7 bigint NOT NULL,
    run_8 bigint NOT NULL, run_9 bigint NOT NULL, run_10 bigint NOT NULL, run_11 bigint NOT NULL,
    run_12 bigint NOT NULL, run_13 bigint NOT NULL, run_14 bigint NOT NULL, run_15 bigint NOT NULL,
    run_16 bigint NOT NULL,
    -- of them, by how long they had waited: those of `history.WAIT`
    wait_0 bigint NOT NULL, wait_1 bigint NOT NULL, wait_2 bigint NOT NULL, wait_3 bigint NOT NULL,
    wait_4 bigint NOT NULL, wait_5 bigint NOT NULL, wait_6 bigint NOT NULL, wait_7 bigint NOT NULL,
    wait_8 bigint NOT NULL, wait_9 bigint NOT NULL, wait_10 bigint NOT NULL, wait_11 bigint NOT NULL,
    wait_12 bigint NOT NULL, wait_13 bigint NOT NULL, wait_14 bigint NOT NULL, wait_15 bigint NOT NULL,
    wait_16 bigint NOT NULL, wait_17 bigint NOT NULL, wait_18 bigint NOT NULL,
    PRIMARY KEY (minute, task, queue, outcome, part)
);

-- When its first attempt was due, if it was to start later than at once: `due` is empty once that is over.
ALTER TABLE $schema.job ADD COLUMN first_due bigint;
