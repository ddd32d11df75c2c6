-- Every statement of the store, by name, with the parameters and the columns that SQLite's of that name has.
-- Lists come as one JSON array. `$s` is the journal's schema. What stands in `unnest` is one array for each column.

-- name: add_jobs
-- With their arguments, which come last; returns their numbers. Those that come without one are given theirs.
WITH drawn AS MATERIALIZED (
    SELECT coalesce(given, nextval('$s.job_seq')) AS seq, $inserted, args
    FROM unnest($inserted_arrays) AS j(given, $inserted, args)
), paid AS (
    INSERT INTO $s.payload (seq, codec, args) SELECT seq, 0, args FROM drawn
), added AS (
    INSERT INTO $s.job (seq, $inserted) SELECT seq, $inserted FROM drawn
)
SELECT seq FROM drawn ORDER BY seq

-- name: add_plain_jobs
WITH drawn AS MATERIALIZED (
    SELECT coalesce(given, nextval('$s.job_seq')) AS seq, $plain, args
    FROM unnest($plain_arrays) AS j(given, $plain, args)
), paid AS (
    INSERT INTO $s.payload (seq, codec, args) SELECT seq, 0, args FROM drawn
), added AS (
    INSERT INTO $s.job (seq, $plain) SELECT seq, $plain FROM drawn
)
SELECT seq FROM drawn ORDER BY seq

-- name: numbers
SELECT nextval('$s.job_seq') FROM generate_series(1, $1)

-- name: take_joined
DELETE FROM $s.joined WHERE seq IN (SELECT seq FROM $s.joined ORDER BY seq LIMIT $1::bigint)
RETURNING seq, task, state, job, (SELECT queue FROM $s.job WHERE job.seq = joined.seq)

-- name: give_places
-- To those that are ready, behind all others: they may have come to light behind a mark.
UPDATE $s.job SET position = nextval('$s.job_seq') WHERE seq = ANY($list) AND state = 0

-- name: may_be_born_claimed
-- Of a queue, by its stretches (`Stretches`): whether nothing is ready there, and what else has to be.
SELECT
    (SELECT true FROM $s.job WHERE state = 0 AND queue = $2::text AND suspect ORDER BY $in_order LIMIT 1) IS NULL
    AND (
        SELECT bool_or(
            (SELECT true FROM $s.job WHERE queue = $2::text AND NOT suspect AND $in_stretch ORDER BY $in_order LIMIT 1)
        ) FROM unnest($3::integer[], $4::bigint[], $5::integer[]) AS stretch(first, place, last)
    ) IS NULL,
    (SELECT coalesce(queues, '') FROM $s.runner WHERE id = $1::bigint AND NOT EXISTS (SELECT 1 FROM $s.pause))

-- name: in_stretch
state = 0 AND (priority, coalesce(position, seq)) >= (stretch.first, stretch.place) AND priority <= stretch.last

-- name: add_task_name
INSERT INTO $s.task_name (name) VALUES ($1) ON CONFLICT DO NOTHING

-- name: task_names
SELECT name, id FROM $s.task_name

-- name: add_stats
INSERT INTO $s.tally (task, state, n) SELECT * FROM unnest($1::integer[], $2::smallint[], $3::bigint[])

-- name: add_these_stats
-- Numbers only, as text: through a pooler it goes to the server together with the commit.
INSERT INTO $s.tally (task, state, n) VALUES

-- name: fold_tally
WITH folded AS (DELETE FROM $s.tally RETURNING task, state, n)
INSERT INTO $s.stat (task, state, n) SELECT task, state, sum(n) FROM folded GROUP BY task, state
ON CONFLICT (task, state) DO UPDATE SET n = stat.n + excluded.n

-- name: stats
SELECT task, state, sum(n)::bigint AS n
FROM (SELECT task, state, n FROM $s.stat UNION ALL SELECT task, state, n FROM $s.tally) AS each GROUP BY task, state

-- name: add_left
INSERT INTO $s.gone (task, queue, state, n) SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[])
ON CONFLICT (task, queue, state) DO UPDATE SET n = gone.n + excluded.n

-- name: add_sums
INSERT INTO $s.sums ($summed, part) SELECT *, pg_backend_pid() % 16 FROM unnest($summed_arrays)
ON CONFLICT (minute, task, queue, outcome, part) DO UPDATE SET $added_up

-- name: history
SELECT $3::bigint * (minute / $3::bigint), task_name.name, sums.task, queue, outcome, $sum_of_cells
FROM $s.sums LEFT JOIN $s.task_name ON task_name.id = sums.task
WHERE minute BETWEEN $1::bigint AND $2::bigint
GROUP BY minute / $3::bigint, task_name.name, sums.task, queue, outcome
ORDER BY minute / $3::bigint, sums.task, queue, outcome

-- name: forget_minutes
DELETE FROM $s.sums
WHERE minute > 0 AND minute < $1::bigint AND minute < $2::bigint + (SELECT min(minute) FROM $s.sums WHERE minute > 0)

-- name: add_failure_kinds
INSERT INTO $s.failure_kind (kind, place) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING

-- name: add_failures
INSERT INTO $s.failure (seq, kind)
SELECT f.seq, failure_kind.id FROM unnest($1::bigint[], $2::text[], $3::text[]) AS f(seq, kind, place)
JOIN $s.failure_kind ON failure_kind.kind = f.kind AND failure_kind.place = f.place
ON CONFLICT (seq) DO UPDATE SET kind = excluded.kind

-- name: prune_failures
DELETE FROM $s.failure WHERE seq = ANY($list)

-- name: groups
WITH found AS (
    SELECT job.task, failure.kind, count(*) AS jobs, min(job.finished) AS first, max(job.finished) AS last,
        max(job.seq) AS newest
    FROM $s.job LEFT JOIN $s.failure ON failure.seq = job.seq
    WHERE job.state = 9 AND job.finished >= $1::bigint GROUP BY job.task, failure.kind
)
SELECT task_name.name, found.task, coalesce(failure_kind.kind, ''), coalesce(failure_kind.place, ''), found.jobs,
    found.first, found.last, job.id
FROM found JOIN $s.job ON job.seq = found.newest LEFT JOIN $s.task_name ON task_name.id = found.task
    LEFT JOIN $s.failure_kind ON failure_kind.id = found.kind
ORDER BY found.jobs DESC, found.newest DESC

-- name: add_audit
INSERT INTO $s.audit (id, at, actor, act, meant, done, not_done)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
ON CONFLICT (id) DO UPDATE SET done = audit.done + excluded.done, not_done = audit.not_done + excluded.not_done

-- name: audit
SELECT n, at, actor, act, meant, done, not_done FROM $s.audit WHERE n < $1::bigint ORDER BY n DESC LIMIT $2::bigint

-- name: add_counted
INSERT INTO $s.meta (key, value) SELECT key, n::text FROM unnest($1::text[], $2::bigint[]) AS c(key, n)
ON CONFLICT (key) DO UPDATE SET value = (meta.value::bigint + excluded.value::bigint)::text

-- name: counted
SELECT key, value::bigint FROM $s.meta WHERE starts_with(key, 'count ') ORDER BY key COLLATE "C"

-- name: size
SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
WHERE relnamespace = to_regnamespace($1::text) AND relkind = 'r'

-- name: forget_audit
DELETE FROM $s.audit WHERE at < $1::bigint

-- name: add_aliases
INSERT INTO $s.alias (id, job, owner) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[])

-- name: keep_id
INSERT INTO $s.alias (id, job, owner) SELECT id, seq, owner FROM $s.job WHERE seq = $1::bigint

-- name: alias_owner
SELECT owner FROM $s.alias WHERE id = $1::bytea

-- name: note_first_due
UPDATE $s.job SET first_due = due WHERE seq = ANY($list) AND state = 1

-- name: ids_joined
SELECT job, count(*) FROM $s.alias WHERE job = ANY($list) GROUP BY job

-- name: keyed
SELECT seq, state, lane, started FROM $s.job WHERE key = $2::text AND task = $1::integer AND key IS NOT NULL AND state < 8

-- name: keyed_all
SELECT job.task, job.key, job.seq, job.state, job.lane, job.started
FROM jsonb_array_elements($1::jsonb) AS wanted
JOIN $s.job ON job.key = wanted ->> 1 AND job.task = (wanted ->> 0)::integer
WHERE job.key IS NOT NULL AND job.state < 8

-- name: replace_job
UPDATE $s.job SET $replaced, failures = 0, started = NULL, runner = 0, follows = NULL WHERE seq = $last

-- name: replace_payload
UPDATE $s.payload SET args = $2::bytea, codec = 0 WHERE seq = $1::bigint

-- name: to_cancel
SELECT (wanted.place - 1)::integer, job.seq, job.task, job.state, job.lane, job.followed,
    CASE WHEN job.state = 2 AND job.reason IS NULL THEN job.follows END, encode(convert_to(job.queue, 'UTF8'), 'hex')
FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS wanted(id, place) JOIN $s.job ON $meant
WHERE NOT (job.state = 1 AND job.due IS NULL)
ORDER BY wanted.place

-- name: to_retry
SELECT (wanted.place - 1)::integer, job.seq, job.task, job.state, job.lane, job.key, job.opts
FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS wanted(id, place) JOIN $s.job ON $meant
WHERE job.state IN (9, 10) ORDER BY wanted.place

-- name: meant
job.seq = coalesce(
    (SELECT named.seq FROM $s.job AS named WHERE named.id = decode(wanted.id, 'hex')),
    (SELECT alias.job FROM $s.alias WHERE alias.id = decode(wanted.id, 'hex'))
)

-- name: list
ARRAY(SELECT value::bigint FROM jsonb_array_elements_text($1::jsonb))

-- name: cancel_all
UPDATE $s.job SET state = 10, finished = $2::bigint, reason = $3::text WHERE seq = ANY($list)

-- name: ask_all
UPDATE $s.job SET cancel_asked = coalesce(cancel_asked, $2::bigint) WHERE seq = ANY($list)

-- name: asked
SELECT seq FROM $s.job WHERE state = 3 AND cancel_asked IS NOT NULL AND runner = $1::bigint

-- name: retry_all
UPDATE $s.job SET deaths = 0, suspect = false, cancel_asked = NULL, finished = NULL, reason = NULL, due = NULL,
    runner = 0, opts = f.opts, first_due = f.now
FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS f(seq, opts, now) WHERE job.seq = f.seq

-- name: bounds
SELECT kind, bounds.name, concurrent, every, burst, tat, turn, task_name.id
FROM $s.bounds LEFT JOIN $s.task_name ON kind = 'task' AND task_name.name = bounds.name

-- name: pauses
SELECT kind, pause.name, task_name.id
FROM $s.pause LEFT JOIN $s.task_name ON kind = 'task' AND task_name.name = pause.name

-- name: use_rate
UPDATE $s.bounds SET tat = $3::bigint, turn = $4::bigint WHERE kind = $1::text AND name = $2::text

-- name: set_bounds
INSERT INTO $s.bounds AS was (kind, name, concurrent, every, burst)
VALUES ($1, $2, $3::integer, $4::bigint, $5::integer)
ON CONFLICT (kind, name) DO UPDATE SET concurrent = excluded.concurrent, every = excluded.every, burst = excluded.burst,
    tat = CASE
        WHEN was.every IS NULL OR excluded.every IS NULL THEN 0
        WHEN was.every = excluded.every AND was.burst = excluded.burst THEN was.tat
        ELSE least(was.tat, $6::bigint + excluded.burst * excluded.every)
    END,
    turn = CASE WHEN was.every = excluded.every AND was.burst = excluded.burst THEN was.turn ELSE 0 END

-- name: drop_bounds
DELETE FROM $s.bounds WHERE kind = $1::text AND name = $2::text

-- name: give_lane
UPDATE $s.job SET lane = '' WHERE task = $1::integer AND lane IS NULL AND state < 8

-- name: waiting_lanes
-- Of each of these tasks, one lane in which something waits.
SELECT DISTINCT ON (task) task, lane FROM $s.job
WHERE state = 2 AND task = ANY($list) AND reason = 'limit' AND lane IS NOT NULL

-- name: lanes
SELECT DISTINCT task, lane FROM $s.job WHERE task = ANY($list) AND lane IS NOT NULL AND state < 8

-- name: pause
INSERT INTO $s.pause (kind, name) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: resume
DELETE FROM $s.pause WHERE kind = $1::text AND name = $2::text

-- name: paused
SELECT kind, name FROM $s.pause ORDER BY kind, name

-- name: queue_bounds
SELECT concurrent, every, burst, tat FROM $s.bounds WHERE kind = 'queue' AND name = $1::text

-- name: in_lanes
-- How many of each of these lanes are ready or running, in the order of the lanes.
SELECT (
    SELECT count(*) FROM $s.job WHERE task = (wanted.lane ->> 0)::integer AND lane = wanted.lane ->> 1
        AND lane IS NOT NULL AND state < 8 AND state IN (0, 3, 5)
) FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS wanted(lane, place) ORDER BY wanted.place

-- name: next_in_lanes
-- The first that wait in each of these lanes (task, name, limit), as many as there is room for.
SELECT next.seq, next.task FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS wanted(lane, place)
CROSS JOIN LATERAL (
    SELECT (wanted.lane ->> 2)::bigint - count(*) AS room FROM $s.job
    WHERE task = (wanted.lane ->> 0)::integer AND lane = wanted.lane ->> 1 AND lane IS NOT NULL AND state < 8
        AND state IN (0, 3, 5)
) AS taken
CROSS JOIN LATERAL (
    SELECT seq, task FROM $s.job
    WHERE task = (wanted.lane ->> 0)::integer AND lane = wanted.lane ->> 1 AND lane IS NOT NULL AND state < 8
        AND state = 2 AND reason = 'limit'
    ORDER BY priority, seq LIMIT greatest(taken.room, 0)
) AS next
ORDER BY wanted.place

-- name: surplus_in_lanes
-- The last that are ready in each lane of these tasks (task, limit), as many as are too many.
SELECT seq, task, lane, state FROM (
    SELECT job.seq, job.task, job.lane, job.state,
        count(*) OVER (PARTITION BY job.task, job.lane) - (wanted ->> 1)::bigint AS surplus,
        row_number() OVER (PARTITION BY job.task, job.lane, job.state ORDER BY job.priority DESC, job.seq DESC) AS place
    FROM jsonb_array_elements($1::jsonb) AS wanted JOIN $s.job ON job.task = (wanted ->> 0)::integer
    WHERE job.lane IS NOT NULL AND job.state < 8 AND job.state IN (0, 3, 5)
) AS counted WHERE state = 0 AND place <= surplus

-- name: blocked_because
SELECT seq, task, lane, state FROM $s.job WHERE state = 2 AND task = $1::integer AND reason = $2::text
ORDER BY priority, seq

-- name: block_all
UPDATE $s.job SET state = 2, due = NULL, reason = $2::text, release = NULL, follows = NULL WHERE seq = ANY($list)

-- name: block_until
UPDATE $s.job SET state = 2, due = f.due, reason = 'rate'
FROM unnest($1::bigint[], $2::bigint[]) AS f(seq, due) WHERE job.seq = f.seq

-- name: running_in_queue
SELECT count(*) FROM $s.job WHERE state = 3 AND queue = $1::text

-- name: note_progress
INSERT INTO $s.progress (seq, done, total, message, at)
SELECT job.seq, p.done, p.total, p.message, p.at
FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::text[], $6::bigint[])
    AS p(seq, fence, done, total, message, at)
JOIN $s.job ON job.seq = p.seq AND job.fence = p.fence WHERE job.state IN (3, 8, 9, 10)
ON CONFLICT (seq) DO UPDATE SET done = excluded.done, total = excluded.total, message = excluded.message, at = excluded.at

-- name: add_results
INSERT INTO $s.result (seq, value) SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (seq) DO UPDATE SET value = excluded.value

-- name: note_dropped
UPDATE $s.job SET reason = $2::text WHERE seq = ANY($list)

-- name: add_logs
INSERT INTO $s.log (job, attempt, lines)
SELECT job.seq, 1 + job.failures, l.lines FROM unnest($1::bigint[], $2::text[]) AS l(seq, lines)
JOIN $s.job ON job.seq = l.seq

-- name: enlist
INSERT INTO $s.runner (token, host, pid, started, renewed, lease, release, kind, queues, slots, parent)
VALUES ($1, $2, $3::integer, $4::bigint, $5::bigint, $6::bigint, $7, $8, $9, $10::integer, $11::bigint) RETURNING id

-- name: renew
-- Who hears its broker was heard to do so when it renewed its lease.
UPDATE $s.runner SET renewed = $2::bigint, last_message = CASE
    WHEN $3::integer = 1 OR $3::integer IS NULL AND last_message = renewed THEN $2::bigint ELSE last_message END
WHERE id = $1::bigint

-- name: runner_tokens
SELECT id, id::text FROM $s.runner WHERE id = ANY($list)

-- name: runners
SELECT id, token, host, pid, renewed, lease, draining FROM $s.runner

-- name: has_sessions
SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'postlude%' || $1::text || '%')

-- name: held_transactions
SELECT pid, coalesce(application_name, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8, xact_start::text
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    AND xact_start < clock_timestamp() - make_interval(secs => $1::float8)
ORDER BY xact_start LIMIT 3

-- name: living
SELECT renewed + lease, id, kind, release, queues, slots, parent, host, pid, started,
    (SELECT count(*) FROM $s.job WHERE state = 3 AND job.runner = runner.id), renewed - last_message
FROM $s.runner

-- name: orphan
SELECT EXISTS (
    SELECT 1 FROM $s.runner WHERE id = $1::bigint AND parent IS NOT NULL AND parent NOT IN (SELECT id FROM $s.runner)
)

-- name: drain
UPDATE $s.runner SET draining = true WHERE id = $1::bigint AND NOT draining

-- name: note_starts
INSERT INTO $s.start (seq, runner, at) SELECT job.seq, f.runner, f.at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS f(seq, fence, runner, at)
JOIN $s.job ON job.seq = f.seq AND job.fence = f.fence AND job.state = 3
ON CONFLICT (seq) DO UPDATE SET runner = excluded.runner, at = excluded.at

-- name: starts_of
SELECT start.seq, start.at FROM $s.start JOIN $s.job ON job.seq = start.seq AND job.state = 3 AND job.runner = start.runner
WHERE start.runner = ANY($list)

-- name: forget_starts
DELETE FROM $s.start WHERE runner = ANY($list)

-- name: lead
SELECT lead.runner, lead.until, runner.renewed + runner.lease FROM $s.lead JOIN $s.runner ON runner.id = lead.runner
WHERE lead.duty = $1::text

-- name: take_lead
INSERT INTO $s.lead (duty, runner, until) SELECT $1, id, $3::bigint FROM $s.runner WHERE id = $2::bigint
ON CONFLICT (duty) DO UPDATE SET runner = excluded.runner, until = excluded.until

-- name: let_go_of_lead
DELETE FROM $s.lead WHERE duty = $1::text AND runner = $2::bigint

-- name: forget_these_runners
DELETE FROM $s.runner WHERE id = ANY($list)

-- name: orphaned_runners
SELECT DISTINCT runner FROM $s.job WHERE state = 3 AND runner NOT IN (SELECT id FROM $s.runner)

-- name: ready_queues
-- Of the queues that are known, those in which something is ready by their stretches (one row each), and those that
-- have a suspect; and whether anything is ready in another queue. Each look names an index's order and the first
-- row, so that it is a look into that index, whatever the server believes of the table.
WITH gap AS (
    SELECT queue AS low, lead(queue) OVER (ORDER BY queue) AS high FROM unnest(array_append($2::text[], '')) AS k(queue)
)
SELECT
    EXISTS (SELECT 1 FROM $s.runner WHERE id = $1::bigint),
    ARRAY(
        SELECT DISTINCT known FROM unnest($3::text[], $4::integer[], $5::bigint[], $6::integer[])
            AS stretch(known, first, place, last)
        WHERE (
            SELECT true FROM $s.job WHERE queue = known AND NOT suspect AND $in_stretch ORDER BY $in_order LIMIT 1
        )
    ),
    ARRAY(
        SELECT known FROM unnest($2::text[]) AS k(known)
        WHERE (SELECT true FROM $s.job WHERE state = 0 AND queue = known AND suspect ORDER BY $in_order LIMIT 1)
    ),
    (
        SELECT bool_or(CASE WHEN high IS NULL
            THEN (SELECT true FROM $s.job WHERE state = 0 AND queue > low ORDER BY queue, $in_order LIMIT 1)
            ELSE (
                SELECT true FROM $s.job WHERE state = 0 AND queue > low AND queue < high
                ORDER BY queue, $in_order LIMIT 1
            )
        END) FROM gap
    )

-- name: in_order
suspect, priority, coalesce(position, seq)

-- name: all_ready_queues
WITH RECURSIVE waiting (queue) AS (
    SELECT min(queue) FROM $s.job WHERE state = 0
    UNION ALL
    SELECT (SELECT min(queue) FROM $s.job WHERE state = 0 AND queue > waiting.queue) FROM waiting
    WHERE waiting.queue IS NOT NULL
)
SELECT queue FROM waiting WHERE queue IS NOT NULL

-- name: is_enlisted
SELECT EXISTS (SELECT 1 FROM $s.runner WHERE id = $1::bigint)

-- name: published
SELECT queue, count(*), min(coalesce(published_at, 0)), max(coalesce(publishes, 1)) FROM $s.job WHERE state = 5
GROUP BY queue ORDER BY queue COLLATE "C"

-- name: ready_ids
SELECT id FROM $s.job WHERE state = 0 AND queue = $1::text ORDER BY suspect, priority, coalesce(position, seq)
LIMIT $2::bigint

-- name: out
SELECT seq, encode(id, 'hex'), published_at, publishes, encode(convert_to(context, 'UTF8'), 'hex') FROM $s.job
WHERE state = 5 AND queue = $1::text
ORDER BY priority, coalesce(position, seq)

-- name: all_out
SELECT seq, task, encode(convert_to(queue, 'UTF8'), 'hex') FROM $s.job WHERE state = 5

-- name: out_of_these
SELECT job.seq, job.task, encode(convert_to(job.queue, 'UTF8'), 'hex')
FROM jsonb_array_elements_text($1::jsonb) AS wanted(id) JOIN $s.job ON job.id = decode(wanted.id, 'hex')
WHERE job.state = 5

-- name: next_ready
SELECT seq, encode(id, 'hex'), encode(convert_to(context, 'UTF8'), 'hex'), task FROM $s.job
WHERE state = 0 AND queue = $1::text
ORDER BY $in_order LIMIT $2::bigint

-- name: publish
UPDATE $s.job SET publishes = CASE state WHEN 5 THEN coalesce(publishes, 0) + 1 ELSE 1 END,
    published_at = $2::bigint, state = 5
WHERE seq = ANY($list)

-- name: withdraw
UPDATE $s.job SET state = 0 WHERE seq = ANY($list) AND state = 5

-- name: claimed
j.seq, encode(j.id, 'hex'), j.fence + 1, j.task, j.queue, j.failures, j.suspect::integer, j.once::integer, j.created,
    j.followed::integer, j.lane, (j.started IS NOT NULL)::integer, j.first_due, $given, p.args

-- name: ready
-- By the stretches of the queue. Each gives as many as are wanted of all.
SELECT $claimed, j.priority, j.place FROM (
    SELECT found.* FROM unnest($6::integer[], $7::bigint[], $8::integer[]) AS stretch(first, place, last)
    CROSS JOIN LATERAL (
        SELECT job.*, coalesce(position, seq) AS place FROM $s.job
        WHERE queue = $1::text AND suspect = ($2::integer = 1) AND $in_stretch
        ORDER BY priority, coalesce(position, seq) LIMIT $5::bigint
    ) AS found
    ORDER BY found.priority, found.place LIMIT $3::bigint OFFSET $4::bigint
) AS j LEFT JOIN $s.payload AS p ON p.seq = j.seq
ORDER BY j.priority, j.place

-- name: ready_but
SELECT $claimed, j.priority, j.place FROM (
    SELECT * FROM (
        SELECT found.* FROM unnest($6::integer[], $7::bigint[], $8::integer[]) AS stretch(first, place, last)
        CROSS JOIN LATERAL (
            SELECT job.*, coalesce(position, seq) AS place FROM $s.job
            WHERE queue = $2::text AND suspect = ($3::integer = 1) AND $in_stretch
            ORDER BY priority, coalesce(position, seq) LIMIT 4000
        ) AS found
        ORDER BY found.priority, found.place LIMIT 4000
    ) AS first WHERE task <> ALL($list) ORDER BY priority, place LIMIT $4::bigint OFFSET $5::bigint
) AS j LEFT JOIN $s.payload AS p ON p.seq = j.seq
ORDER BY j.priority, j.place

-- name: lie
-- One after another: joined otherwise, all jobs would be looked at.
SELECT wanted.id, job.seq, job.state, job.reason, job.queue
FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS wanted(id, place)
LEFT JOIN LATERAL (SELECT * FROM $s.job WHERE $meant LIMIT 1) AS job ON true
ORDER BY wanted.place

-- name: ready_these
SELECT $claimed FROM $s.job AS j LEFT JOIN $s.payload AS p ON p.seq = j.seq WHERE j.seq = ANY($list)

-- name: claim_published
-- Those of these ids that are published and plain. By id: the index of what is published has an entry for all that was.
UPDATE $s.job AS j SET state = 3, fence = j.fence + 1, runner = $1::bigint, due = NULL FROM $s.payload AS p
WHERE j.id = ANY($2::bytea[]) AND j.state + 0 = 5 AND NOT j.suspect AND NOT j.followed AND j.lane IS NULL
    AND p.seq = j.seq AND EXISTS (SELECT 1 FROM $s.runner WHERE id = $1::bigint)
RETURNING j.seq, encode(j.id, 'hex'), j.fence, j.task, j.queue, j.failures, 0, j.once::integer, j.created, 0, j.lane,
    (j.started IS NOT NULL)::integer, j.first_due, $given, p.args

-- name: followers
WITH RECURSIVE run (seq, followed, place) AS (
    SELECT seq, followed, 0 FROM $s.job WHERE follows = $1::bigint AND state = 2 AND reason IS NULL
    UNION ALL
    SELECT job.seq, job.followed, run.place + 1 FROM run JOIN $s.job ON job.follows = run.seq
    WHERE run.followed AND job.state = 2 AND job.reason IS NULL AND run.place + 1 < $2::bigint
)
SELECT $claimed FROM run JOIN $s.job AS j ON j.seq = run.seq LEFT JOIN $s.payload AS p ON p.seq = j.seq
ORDER BY run.place

-- name: claim
UPDATE $s.job SET state = 3, fence = fence + 1, runner = $1::bigint, due = NULL
WHERE seq = ANY(ARRAY(SELECT value::bigint FROM jsonb_array_elements_text($2::jsonb)))

-- name: finish_succeeded
-- By number: the index of what runs, which `state = 3` alone would have it take, has an entry for all that ever ran.
UPDATE $s.job SET state = 8, started = f.started, finished = f.finished
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS f(seq, fence, started, finished)
WHERE job.seq = f.seq AND job.fence = f.fence AND job.state + 0 = 3

-- name: finish_all_succeeded
-- The same, of which nobody looks how many it has changed: it fails unless all of them.
WITH done AS ($finish_succeeded RETURNING 1)
SELECT CASE WHEN count(*) = $5::bigint THEN 0 ELSE ('only ' || count(*) || ' of the claims hold')::integer END FROM done

-- name: standings
SELECT seq, state, fence, task, failures, (runner IS NULL)::integer, lane, (cancel_asked IS NOT NULL)::integer,
    encode(convert_to(queue, 'UTF8'), 'hex')
FROM $s.job WHERE seq = ANY($list)

-- name: finish_all
UPDATE $s.job SET state = f.state, started = f.started, finished = f.finished, failures = f.failures, due = f.due,
    reason = f.reason, release = f.release, runner = 0, suspect = suspect AND f.state = 4
FROM unnest(
    $1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::integer[], $6::bigint[], $7::text[], $8::text[]
) AS f(seq, state, started, finished, failures, due, reason, release)
WHERE job.seq = f.seq

-- name: set_notes
INSERT INTO $s.note (seq, text) SELECT * FROM unnest($1::bigint[], $2::text[])
ON CONFLICT (seq) DO UPDATE SET text = excluded.text

-- name: add_attempts
INSERT INTO $s.attempt (job, n, started, finished, error, traceback, host, pid, release)
SELECT a.*, coalesce(
    (SELECT release FROM $s.runner WHERE host = a.host AND pid = a.pid ORDER BY id DESC LIMIT 1), ''
)
FROM unnest(
    $1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::integer[]
) AS a (job, n, started, finished, error, traceback, host, pid)
ON CONFLICT (job, n) DO UPDATE SET started = excluded.started, finished = excluded.finished, error = excluded.error,
    traceback = excluded.traceback, host = excluded.host, pid = excluded.pid, release = excluded.release

-- name: held_back
SELECT seq, task, lane, state FROM $s.job WHERE seq = ANY($list) AND state = 2 AND reason IS NULL

-- name: waiting_for
SELECT job.seq, job.task, job.lane, job.state
FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS wanted(seq, place)
JOIN $s.job ON job.follows = wanted.seq::bigint
WHERE job.follows IS NOT NULL AND job.state = 2 AND job.reason IS NULL ORDER BY wanted.place

-- name: follow_others
UPDATE $s.job SET follows = f.instead FROM unnest($1::bigint[], $2::bigint[]) AS f(seq, instead)
WHERE job.follows = f.seq AND job.follows IS NOT NULL AND job.state = 2 AND job.reason IS NULL

-- name: lanes_of
SELECT DISTINCT task, lane FROM $s.job WHERE seq = ANY($list) AND lane IS NOT NULL

-- name: any_ready
SELECT EXISTS (SELECT 1 FROM $s.job WHERE state = 0 AND queue = $1::text)

-- name: held
SELECT seq, task, lane, followed::integer, (cancel_asked IS NOT NULL)::integer, encode(convert_to(queue, 'UTF8'), 'hex'), fence, runner
FROM $s.job WHERE seq = ANY($list) AND state + 0 = 3

-- name: holds
SELECT seq, fence FROM $s.job WHERE state = 3 AND runner = $1::bigint

-- name: note_begun
UPDATE $s.job SET started = f.started FROM unnest($1::bigint[], $2::bigint[]) AS f(seq, started) WHERE job.seq = f.seq

-- name: release
UPDATE $s.job SET state = 0, runner = NULL, follows = NULL WHERE seq = ANY($list)

-- name: block_behind
UPDATE $s.job SET state = 2, due = f.due, follows = f.follows
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS f(seq, due, follows) WHERE job.seq = f.seq

-- name: note_followed
UPDATE $s.job SET followed = true WHERE seq = ANY($list)

-- name: held_by
SELECT seq, task, lane, followed::integer, (cancel_asked IS NOT NULL)::integer, runner, suspect::integer, deaths,
    once::integer, encode(convert_to(queue, 'UTF8'), 'hex')
FROM $s.job WHERE state = 3 AND runner = ANY($list)

-- name: bury_all
UPDATE $s.job SET state = f.state, runner = CASE f.state WHEN 0 THEN NULL ELSE runner END, follows = NULL,
    started = coalesce(f.started, job.started), suspect = f.suspect <> 0, deaths = f.deaths, reason = f.reason,
    finished = f.finished
FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::integer[], $5::integer[], $6::text[], $7::bigint[])
    AS f(seq, state, started, suspect, deaths, reason, finished)
WHERE job.seq = f.seq

-- name: due
SELECT seq, task, lane, state FROM $s.job WHERE state = 1 AND due <= $1::bigint ORDER BY due, seq LIMIT $2::bigint

-- name: due_blocked
SELECT seq, task, lane, state FROM $s.job WHERE state = 2 AND due IS NOT NULL AND due <= $1::bigint
ORDER BY due, seq LIMIT $2::bigint

-- name: ready_all
-- What was scheduled comes behind all that are ready, in this order; the rest at the place that it had. One value for
-- each: whether something may be ready at a place that was passed.
WITH f AS MATERIALIZED (
    SELECT seq, state, CASE WHEN state = 1 THEN nextval('$s.job_seq') ELSE position END AS position FROM (
        SELECT job.seq, job.state, job.position
        FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS l(seq, place) JOIN $s.job ON job.seq = l.seq::bigint
        ORDER BY l.place
    ) AS ordered
), told AS MATERIALIZED (
    SELECT nextval('$s.behind') WHERE EXISTS (SELECT 1 FROM f WHERE state <> 1)
)
UPDATE $s.job SET state = 0, due = NULL, reason = NULL, release = NULL, follows = NULL, position = f.position
FROM f WHERE job.seq = f.seq RETURNING EXISTS (SELECT 1 FROM told)

-- name: drawn_from_behind
SELECT nextval('$s.behind')

-- name: drawn_from_ruled
SELECT nextval('$s.ruled')

-- name: at_turn
SELECT
    behind.last_value - (NOT behind.is_called)::integer, newest.last_value - (NOT newest.is_called)::integer,
    ruled.last_value - (NOT ruled.is_called)::integer
FROM $s.behind AS behind, $s.job_seq AS newest, $s.ruled AS ruled

-- name: next_due
SELECT least(
    (SELECT min(due) FROM $s.job WHERE state = 1), (SELECT min(due) FROM $s.job WHERE state = 2 AND due IS NOT NULL)
)

-- name: never_due
SELECT false

-- name: parked
SELECT task_name.name, p.release FROM (
    SELECT DISTINCT task, release FROM $s.job WHERE state = 4 AND release IS NOT NULL
) AS p JOIN $s.task_name ON task_name.id = p.task

-- name: parked_jobs
SELECT job.seq, job.task, job.lane, job.state, job.release
FROM jsonb_array_elements($1::jsonb) AS wanted
JOIN $s.job ON job.task = (wanted ->> 0)::integer AND job.release = wanted ->> 1
WHERE job.state = 4 AND ($3::integer = 1 OR NOT job.suspect) ORDER BY job.seq LIMIT $2::bigint

-- name: first_seq
SELECT min(seq) FROM $s.job

-- name: last_seq
SELECT max(seq) FROM $s.job

-- name: old_successes
SELECT seq, task, state FROM $s.job
WHERE seq BETWEEN $1::bigint AND $2::bigint AND state = 8 AND finished < $3::bigint ORDER BY seq LIMIT $4::bigint

-- name: oldest_successes
SELECT seq, task, state FROM $s.job WHERE seq BETWEEN $1::bigint AND $2::bigint AND state = 8
ORDER BY seq LIMIT $3::bigint

-- name: oldest_failed
SELECT seq, task, state FROM $s.job WHERE state = 9 AND finished < $1::bigint ORDER BY finished, seq LIMIT $2::bigint

-- name: oldest_cancelled
SELECT seq, task, state FROM $s.job WHERE state = 10 AND finished < $1::bigint ORDER BY finished, seq LIMIT $2::bigint

-- name: jobs_in_state
SELECT coalesce(sum(n), 0)::bigint FROM ($stats) AS stat WHERE state = $1::smallint

-- name: prune_jobs
DELETE FROM $s.job WHERE seq = ANY($list)

-- name: prune_payloads
DELETE FROM $s.payload WHERE seq = ANY($list)

-- name: prune_results
DELETE FROM $s.result WHERE seq = ANY($list)

-- name: prune_attempts
DELETE FROM $s.attempt WHERE job = ANY($list)

-- name: prune_aliases
DELETE FROM $s.alias WHERE job = ANY($list)

-- name: prune_progress
DELETE FROM $s.progress WHERE seq = ANY($list)

-- name: prune_notes
DELETE FROM $s.note WHERE seq = ANY($list)

-- name: prune_logs
DELETE FROM $s.log WHERE job = ANY($list)

-- name: ended_by_id
SELECT job.seq, job.task, job.state, (wanted.place - 1)::integer
FROM jsonb_array_elements_text($1::jsonb) WITH ORDINALITY AS wanted(id, place) JOIN $s.job ON $meant
WHERE job.state BETWEEN 8 AND 10 ORDER BY wanted.place

-- name: knows_id
SELECT EXISTS (SELECT 1 FROM $s.job WHERE id = $1::bytea) OR EXISTS (SELECT 1 FROM $s.alias WHERE id = $1::bytea)

-- name: queues
SELECT queue, state, count(*), min(created), count(*) FILTER (WHERE state = 1 AND failures > 0) FROM $s.job
WHERE state IN (0, 1, 2, 3, 4, 5) GROUP BY queue, state

-- name: record
SELECT $job, coalesce(task_name.name, joined.task), payload.args,
    CASE WHEN job.failures > 0 THEN
        (SELECT error FROM $s.attempt WHERE attempt.job = job.seq ORDER BY n DESC LIMIT 1)
    END,
    runner.id, note.text, progress.done, progress.total, progress.message, progress.at,
    job.runner, start.at, runner.renewed + runner.lease
FROM $s.job LEFT JOIN $s.task_name ON task_name.id = job.task LEFT JOIN $s.payload ON payload.seq = job.seq
    LEFT JOIN $s.progress ON progress.seq = job.seq LEFT JOIN $s.note ON job.state = 4 AND note.seq = job.seq
    LEFT JOIN $s.runner ON job.state = 3 AND runner.id = job.runner
    LEFT JOIN $s.start ON job.state = 3 AND start.seq = job.seq AND start.runner = job.runner
    LEFT JOIN $s.joined ON job.task = 0 AND joined.seq = job.seq

-- name: found
SELECT job.seq, job.id, task_name.name, job.state FROM $s.job LEFT JOIN $s.task_name ON task_name.id = job.task

-- name: ids_beginning
SELECT id FROM (
    SELECT id FROM $s.job WHERE id BETWEEN $1::bytea AND $2::bytea
    UNION
    SELECT job.id FROM $s.alias JOIN $s.job ON job.seq = alias.job WHERE alias.id BETWEEN $1::bytea AND $2::bytea
) AS found ORDER BY id LIMIT 2

-- name: result
SELECT value FROM $s.result WHERE seq = $1::bigint

-- name: logs
SELECT attempt, lines FROM $s.log WHERE job = $1::bigint ORDER BY place

-- name: attempts
SELECT n, started, finished, error, traceback, host, pid, release FROM $s.attempt WHERE job = $1::bigint ORDER BY n

-- name: counts
SELECT task_name.name, stat.state, stat.n FROM ($stats) AS stat JOIN $s.task_name ON task_name.id = stat.task
UNION ALL SELECT task, state, count(*) FROM $s.joined GROUP BY task, state

-- name: tallies
SELECT t.name, t.state, t.gone, t.n, t.queue FROM (
    SELECT task_name.id, task_name.name, c.state, c.gone, c.n::bigint, c.queue FROM (
        SELECT task, state::integer AS state, NULL AS gone, n, NULL AS queue FROM ($stats) AS stat
        UNION ALL SELECT task, NULL, state, n, NULL FROM $s.gone
        UNION ALL SELECT task, NULL, outcome, sum(n), queue FROM $s.sums WHERE minute = 0 GROUP BY task, outcome, queue
    ) AS c JOIN $s.task_name ON task_name.id = c.task
    UNION ALL
    SELECT task_name.id, j.task, j.state::integer, j.gone, j.n, j.queue FROM (
        SELECT task, state, NULL AS gone, count(*) AS n, NULL AS queue FROM $s.joined GROUP BY task, state
        UNION ALL SELECT joined.task, NULL, 'added', count(*), queue FROM $s.joined JOIN $s.job USING (seq)
        GROUP BY joined.task, queue
    ) AS j LEFT JOIN $s.task_name ON task_name.name = j.task
) AS t ORDER BY t.id NULLS LAST

-- name: meta
SELECT value FROM $s.meta WHERE key = $1::text

-- name: schedule
name, task, queue, rule, zone, missed, leeway, encode(args, 'hex'), terms

-- name: schedules_due
-- What another session deals with now is left to it.
SELECT $schedule, done FROM $s.declared_schedule WHERE next <= $1::bigint ORDER BY next, name FOR UPDATE SKIP LOCKED

-- name: schedule_in_force
SELECT $schedule, done FROM $s.declared_schedule WHERE name = $1::text AND removed IS NULL

-- name: next_fire
SELECT min(next) FROM $s.declared_schedule WHERE next > $1::bigint

-- name: schedules_done
UPDATE $s.declared_schedule SET done = f.done, next = f.next
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS f(name, done, next) WHERE declared_schedule.name = f.name

-- name: times_marked
SELECT t.name, t.due FROM jsonb_array_elements($1::jsonb) AS wanted
JOIN $s.schedule AS t ON t.name = wanted ->> 0 AND t.due = (wanted ->> 1)::bigint

-- name: mark_times
INSERT INTO $s.schedule (name, due, job) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])

-- name: forget_times
DELETE FROM $s.schedule AS old WHERE name = ANY(ARRAY(SELECT jsonb_array_elements_text($1::jsonb))) AND due < $2::bigint
    AND due < (SELECT t.due FROM $s.schedule AS t WHERE t.name = old.name ORDER BY t.due DESC LIMIT 1 OFFSET $3::integer)

-- name: pause_schedule
UPDATE $s.declared_schedule SET paused = $2::bigint, next = NULL WHERE name = $1::text AND paused IS NULL AND removed IS NULL

-- name: resume_schedule
UPDATE $s.declared_schedule SET paused = NULL, done = $2::bigint, next = $3::bigint WHERE name = $1::text AND paused IS NOT NULL AND removed IS NULL

-- name: schedule_sets
SELECT digest, first FROM $s.schedule_set WHERE application = $1::text

-- name: add_schedule_set
INSERT INTO $s.schedule_set (application, digest, first) VALUES ($1::text, $2::text, $3::bigint)

-- name: schedule_declarers
SELECT runner, digest FROM $s.schedule_declarer
WHERE application = $1::text AND runner IN (SELECT id FROM $s.runner)

-- name: note_declarer
INSERT INTO $s.schedule_declarer (runner, application, digest) VALUES ($1::bigint, $2::text, $3::text)
ON CONFLICT (runner, application) DO UPDATE SET digest = excluded.digest

-- name: forget_declarers
DELETE FROM $s.schedule_declarer WHERE runner NOT IN (SELECT id FROM $s.runner)

-- name: declared_schedules
SELECT $schedule, application, done, paused, removed FROM $s.declared_schedule
WHERE application = $1::text OR name = ANY(ARRAY(SELECT jsonb_array_elements_text($2::jsonb)))

-- name: put_schedule
INSERT INTO $s.declared_schedule (name, task, queue, rule, zone, missed, leeway, args, terms, application, done, next)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::bigint, $8::bytea, $9::text, $10::text, $11::bigint, $12::bigint)
ON CONFLICT (name) DO UPDATE SET task = excluded.task, queue = excluded.queue, rule = excluded.rule, zone = excluded.zone,
    missed = excluded.missed, leeway = excluded.leeway, args = excluded.args, terms = excluded.terms,
    application = excluded.application, done = excluded.done, next = excluded.next, removed = NULL

-- name: remove_schedules
UPDATE $s.declared_schedule SET next = NULL, removed = $2::bigint WHERE name = ANY(ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))

-- name: schedules
SELECT s.name, s.task, s.queue, s.rule, s.zone, s.missed, s.leeway, s.args, s.terms, s.application, s.next, s.paused,
    t.due, t.job, job.id, job.state
FROM $s.declared_schedule AS s
LEFT JOIN $s.schedule AS t ON t.name = s.name AND t.due = (SELECT max(due) FROM $s.schedule AS each WHERE each.name = s.name)
LEFT JOIN $s.job ON job.seq = t.job
WHERE s.removed IS NULL ORDER BY s.name

-- name: schedule_times
SELECT t.due, t.job, job.id, job.state FROM $s.schedule AS t LEFT JOIN $s.job ON job.seq = t.job
WHERE t.name = $1::text ORDER BY t.due DESC LIMIT $2::integer

-- name: wrong_tally
-- What cannot be true, and how often it is: see relational/contradictions.py.
SELECT count(*), NULL FROM (
    SELECT task, state FROM (SELECT task, state, n FROM ($stats) AS stat UNION ALL SELECT task, state, -count(*) AS n FROM $s.job WHERE NOT EXISTS (SELECT 1 FROM $s.joined WHERE joined.seq = job.seq) GROUP BY task, state) AS each
    GROUP BY task, state HAVING sum(n) <> 0
) AS wrong

-- name: wrong_runner
SELECT count(*), min(encode(id, 'hex')) FROM $s.job
WHERE state = 3 AND NOT EXISTS (SELECT 1 FROM $s.runner WHERE runner.id = job.runner)

-- name: wrong_claim
SELECT count(*), min(encode(id, 'hex')) FROM $s.job WHERE state = 3 AND fence < 1

-- name: wrong_arguments
SELECT count(*), min(encode(id, 'hex')) FROM $s.job
WHERE state < 8 AND NOT EXISTS (SELECT 1 FROM $s.payload WHERE payload.seq = job.seq)

-- name: wrong_task
SELECT count(*), min(encode(id, 'hex')) FROM $s.job
WHERE NOT EXISTS (SELECT 1 FROM $s.task_name WHERE task_name.id = job.task) AND NOT EXISTS (SELECT 1 FROM $s.joined WHERE joined.seq = job.seq)

-- name: wrong_end
SELECT count(*), min(encode(id, 'hex')) FROM $s.job WHERE state >= 8 AND finished IS NULL

-- name: wrong_follower
SELECT count(*), min(encode(id, 'hex')) FROM $s.job
WHERE state = 2 AND follows IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM $s.job AS before WHERE before.seq = job.follows)

-- name: wrong_leftovers
SELECT sum(n)::bigint, NULL FROM (
    SELECT count(*) AS n FROM $s.payload WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = payload.seq) UNION ALL
    SELECT count(*) AS n FROM $s.result WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = result.seq) UNION ALL
    SELECT count(*) AS n FROM $s.progress WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = progress.seq) UNION ALL
    SELECT count(*) AS n FROM $s.note WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = note.seq) UNION ALL
    SELECT count(*) AS n FROM $s.failure WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = failure.seq) UNION ALL
    SELECT count(*) AS n FROM $s.attempt WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = attempt.job) UNION ALL
    SELECT count(*) AS n FROM $s.log WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = log.job) UNION ALL
    SELECT count(*) AS n FROM $s.alias WHERE NOT EXISTS (SELECT 1 FROM $s.job WHERE job.seq = alias.job)
) AS each
