-- Version 2. Jobs that an application adds in a transaction of its own.

-- What the journal does not know yet of jobs that have joined: it is counted, and for those with `job` also stored as
-- their calls have said it, by whoever takes the row away.
CREATE TABLE $schema.joined (
    seq bigint PRIMARY KEY,
    task text NOT NULL,
    state smallint NOT NULL,                        -- in which it has entered
    job text                                        -- of one with a key, a limit or a predecessor
);

ALTER TABLE $schema.joined SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Adds jobs (a JSON array) in the transaction of whoever calls it; returns how many. It writes new rows only and waits
-- for nobody, so no transaction of an application holds up the journal. `journal`: the epoch of the one that is meant.
CREATE FUNCTION $schema.join_jobs(journal text, jobs text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    job jsonb;
    place bigint;
    number integer;
    due bigint;
    unsettled boolean;
    enters smallint;
    joins integer := 0;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM $schema.meta WHERE meta.key = 'epoch' AND meta.value = journal) THEN
        RAISE EXCEPTION 'this is not the journal that is meant' USING ERRCODE = 'PJ001';
    END IF;
    FOR job IN SELECT value FROM jsonb_array_elements(jobs::jsonb) LOOP
        place := nextval('$schema.job_seq');
        SELECT task_name.id INTO number FROM $schema.task_name WHERE task_name.name = job ->> 'task';
        due := (job ->> 'due')::bigint;
        unsettled := number IS NULL OR (job ->> 'settle')::boolean;
        enters := CASE
            WHEN unsettled OR due > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint THEN 1 ELSE 0
        END;
        INSERT INTO $schema.job (
            seq, id, task, queue, state, priority, due, created, once, owner, request, opts, context
        ) VALUES (
            place, decode(job ->> 'id', 'hex'), coalesce(number, 0), job ->> 'queue', enters,
            (job ->> 'priority')::integer, CASE WHEN enters = 1 AND NOT unsettled THEN due END,
            (job ->> 'created')::bigint, (job ->> 'once')::boolean, job ->> 'owner',
            decode(job ->> 'request', 'hex'), job ->> 'opts', job ->> 'context'
        );
        INSERT INTO $schema.payload (seq, codec, args) VALUES (place, 0, decode(job ->> 'args', 'base64'));
        INSERT INTO $schema.joined (seq, task, state, job)
        VALUES (place, job ->> 'task', enters, CASE WHEN unsettled THEN job::text END);
        joins := joins + 1;
    END LOOP;
    RETURN joins;
END
$body$;
