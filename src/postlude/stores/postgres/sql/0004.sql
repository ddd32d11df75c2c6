-- Version 4. What has been claimed is passed over by its place, and the tally has no row that all groups write.

-- What was scheduled gets its place among the ready anew when it is due. What has been ready before, or would have been
-- but for a limit or a predecessor, keeps its place, and then a number is drawn from `behind`, so that nobody goes on
-- from a later place.
CREATE SEQUENCE $schema.behind;
DROP INDEX $schema.job_ready;
CREATE INDEX job_ready ON $schema.job (queue, suspect, priority, coalesce(position, seq)) WHERE state = 0;

-- Likewise when bounds or pauses are written: who has read them need not read them again before that.
CREATE SEQUENCE $schema.ruled;

-- What each group has changed in `stat`; added to that from time to time.
CREATE TABLE $schema.tally (
    task integer NOT NULL,
    state smallint NOT NULL,
    n bigint NOT NULL
);

ALTER TABLE $schema.tally SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
