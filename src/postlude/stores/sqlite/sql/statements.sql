-- Every statement of the store, by name. Those that return many rows return them as one JSON
-- value: each row that is stepped over gives the interpreter's lock away and has to win it back.

-- name: begin
BEGIN IMMEDIATE

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: add_jobs
INSERT INTO job ($inserted) VALUES $inserted_values

-- name: add_plain_jobs
INSERT INTO job ($plain) VALUES $plain_values

-- name: add_payloads
INSERT INTO payload (seq, codec, args) VALUES (?, 0, ?)

-- name: may_be_born_claimed
SELECT coalesce(queues, '') FROM runner WHERE id = ?1
    AND NOT EXISTS (SELECT 1 FROM job WHERE state = 0 AND queue = ?2) AND NOT EXISTS (SELECT 1 FROM pause)

-- name: add_task_name
INSERT INTO task_name (name) VALUES (?) ON CONFLICT DO NOTHING

-- name: task_names
SELECT name, id FROM task_name

-- name: add_stats
INSERT INTO stat (task, state, n) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET n = coalesce(n, 0) + excluded.n

-- name: add_left
-- Minute 0 is of all time.
INSERT INTO minute (minute, task, queue, outcome, n, ran, waited) VALUES (0, ?, ?, ?, ?, 0, 0)
ON CONFLICT DO UPDATE SET n = n + excluded.n

-- name: add_sums
INSERT INTO sums ($summed) VALUES $summed_values
ON CONFLICT DO UPDATE SET $added_up

-- name: add_numbers
INSERT INTO sums ($summed) VALUES $number_values
ON CONFLICT DO UPDATE SET n = n + excluded.n

-- name: history
SELECT ?3 * (minute / ?3), task_name.name, sums.task, queue, outcome, $sum_of_cells
FROM sums LEFT JOIN task_name ON task_name.id = sums.task
WHERE minute BETWEEN ?1 AND ?2 GROUP BY minute / ?3, sums.task, queue, outcome ORDER BY minute / ?3, sums.task, queue, outcome

-- name: forget_minutes
DELETE FROM sums WHERE minute > 0 AND minute < ?1 AND minute < ?2 + (SELECT min(minute) FROM sums WHERE minute > 0)

-- name: add_failure_kinds
INSERT INTO failure_kind (kind, place) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: add_failures
INSERT INTO failure (seq, kind)
SELECT f.column1, failure_kind.id FROM (VALUES (?, ?, ?)) AS f
CROSS JOIN failure_kind ON failure_kind.kind = f.column2 AND failure_kind.place = f.column3 WHERE true
ON CONFLICT DO UPDATE SET kind = excluded.kind

-- name: prune_failures
DELETE FROM failure WHERE seq IN (SELECT value FROM json_each(?1))

-- name: groups
-- Each group's newest job is the one of the greatest seq.
WITH found AS MATERIALIZED (
    SELECT job.task, failure.kind, count(*) AS jobs, min(job.finished) AS first, max(job.finished) AS last,
        max(job.seq) AS newest
    FROM job LEFT JOIN failure ON failure.seq = job.seq
    WHERE job.state = 9 AND job.finished >= ?1 GROUP BY job.task, failure.kind
)
SELECT task_name.name, found.task, coalesce(failure_kind.kind, ''), coalesce(failure_kind.place, ''), found.jobs,
    found.first, found.last, job.id
FROM found JOIN job ON job.seq = found.newest LEFT JOIN task_name ON task_name.id = found.task
    LEFT JOIN failure_kind ON failure_kind.id = found.kind
ORDER BY found.jobs DESC, found.newest DESC

-- name: add_audit
INSERT INTO audit (id, at, actor, act, meant, done, not_done) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET done = done + excluded.done, not_done = not_done + excluded.not_done

-- name: audit
SELECT n, at, actor, act, meant, done, not_done FROM audit WHERE n < ?1 ORDER BY n DESC LIMIT ?2

-- name: add_counted
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value

-- name: counted
SELECT key, value FROM meta WHERE key >= 'count ' AND key < 'count!' AND typeof(value) = 'integer' ORDER BY key

-- name: size
SELECT page_count * page_size FROM pragma_page_count, pragma_page_size

-- name: forget_audit
DELETE FROM audit WHERE at < ?1

-- name: add_aliases
INSERT INTO alias (id, job, owner) VALUES (?, ?, ?)

-- name: knows_id
SELECT EXISTS (SELECT 1 FROM job WHERE id = ?1) OR EXISTS (SELECT 1 FROM alias WHERE id = ?1)

-- name: keep_id
INSERT INTO alias (id, job, owner) SELECT id, seq, owner FROM job WHERE seq = ?

-- name: alias_owner
SELECT owner FROM alias WHERE id = ?

-- name: ids_joined
SELECT json_group_array(json_array(job, n)) FROM (
    SELECT job, count(*) AS n FROM alias WHERE job IN (SELECT value FROM json_each(?1)) GROUP BY job
)

-- name: keyed
SELECT seq, state, lane, started FROM job WHERE key = ?2 AND task = ?1 AND key IS NOT NULL AND state < 8

-- name: keyed_all
SELECT json_group_array(json_array(job.task, job.key, job.seq, job.state, job.lane, job.started))
FROM json_each(?1) AS wanted
CROSS JOIN job ON job.key = wanted.value ->> 1 AND job.task = wanted.value ->> 0
WHERE job.key IS NOT NULL AND job.state < 8

-- name: replace_job
UPDATE job SET $replaced, failures = 0, started = NULL, runner = 0, follows = NULL WHERE seq = ?

-- name: replace_payload
UPDATE payload SET args = ?2, codec = 0 WHERE seq = ?1

-- name: to_cancel
-- Those of these ids, each with its place among them, and the job that it waits for.
SELECT json_group_array(json_array(
    wanted.key, job.seq, job.task, job.state, job.lane, job.followed,
    iif(job.state = 2 AND job.reason IS NULL, job.follows, NULL), hex(job.queue)
))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.seq = coalesce(
    (SELECT named.seq FROM job AS named WHERE named.id = unhex(wanted.value)),
    (SELECT alias.job FROM alias WHERE alias.id = unhex(wanted.value))
)

-- name: to_retry
SELECT json_group_array(json_array(wanted.key, job.seq, job.task, job.state, job.lane, job.key, job.opts))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.seq = coalesce(
    (SELECT named.seq FROM job AS named WHERE named.id = unhex(wanted.value)),
    (SELECT alias.job FROM alias WHERE alias.id = unhex(wanted.value))
)
WHERE job.state IN (9, 10)

-- name: cancel_all
UPDATE job SET state = 10, finished = ?2, reason = ?3 WHERE seq IN (SELECT value FROM json_each(?1))

-- name: ask_all
UPDATE job SET cancel_asked = coalesce(cancel_asked, ?2) WHERE seq IN (SELECT value FROM json_each(?1))

-- name: asked
SELECT seq FROM job WHERE state = 3 AND cancel_asked IS NOT NULL AND runner = ?

-- name: retry_all
UPDATE job SET deaths = 0, suspect = 0, cancel_asked = NULL, finished = NULL, reason = NULL, due = NULL, runner = 0,
    opts = f.column2, first_due = f.column3
FROM (VALUES (?, ?, ?)) AS f WHERE job.seq = f.column1

-- name: rules
SELECT json_array(
    json((SELECT json_group_array(json_array(kind, bounds.name, concurrent, every, burst, tat, turn, task_name.id))
        FROM bounds LEFT JOIN task_name ON kind = 'task' AND task_name.name = bounds.name)),
    json((SELECT json_group_array(json_array(kind, pause.name, task_name.id))
        FROM pause LEFT JOIN task_name ON kind = 'task' AND task_name.name = pause.name))
)

-- name: use_rate
UPDATE bounds SET tat = ?3, turn = ?4 WHERE kind = ?1 AND name = ?2

-- name: set_bounds
INSERT INTO bounds (kind, name, concurrent, every, burst) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET concurrent = excluded.concurrent, every = excluded.every, burst = excluded.burst,
    tat = CASE
        WHEN every IS NULL OR excluded.every IS NULL THEN 0
        WHEN every = excluded.every AND burst = excluded.burst THEN tat
        ELSE min(tat, ?6 + excluded.burst * excluded.every)
    END,
    turn = CASE WHEN every = excluded.every AND burst = excluded.burst THEN turn ELSE 0 END

-- name: drop_bounds
DELETE FROM bounds WHERE kind = ? AND name = ?

-- name: give_lane
UPDATE job SET lane = '' WHERE task = ?1 AND lane IS NULL AND seq IN (
    SELECT seq FROM job INDEXED BY job_ready WHERE state = 0
    UNION ALL SELECT seq FROM job INDEXED BY job_scheduled WHERE state = 1
    UNION ALL SELECT seq FROM job INDEXED BY job_blocked_why WHERE state = 2 AND task = ?1
    UNION ALL SELECT seq FROM job INDEXED BY job_running WHERE state = 3
    UNION ALL SELECT seq FROM job INDEXED BY job_parked WHERE state = 4 AND task = ?1
    UNION ALL SELECT seq FROM job INDEXED BY job_published WHERE state = 5
)

-- name: waiting_lanes
-- Of each of these tasks, one lane in which something waits.
SELECT json_group_array(json_array(task, lane)) FROM (
    SELECT value AS task, (
        SELECT lane FROM job WHERE state = 2 AND job.task = value AND reason = 'limit' AND lane IS NOT NULL LIMIT 1
    ) AS lane
    FROM json_each(?1)
) WHERE lane IS NOT NULL

-- name: lanes
SELECT json_group_array(json_array(task, lane)) FROM (
    SELECT DISTINCT job.task, job.lane FROM json_each(?1) AS wanted CROSS JOIN job ON job.task = wanted.value
    WHERE job.lane IS NOT NULL AND job.state < 8
)

-- name: pause
INSERT INTO pause (kind, name) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: resume
DELETE FROM pause WHERE kind = ? AND name = ?

-- name: paused
SELECT kind, name FROM pause ORDER BY kind, name

-- name: queue_bounds
SELECT concurrent, every, burst, tat FROM bounds WHERE kind = 'queue' AND name = ?

-- name: in_lanes
-- How many of each of these lanes are ready or running, in the order of the lanes.
SELECT json_group_array((
    SELECT count(*) FROM job
    WHERE task = wanted.value ->> 0 AND lane = wanted.value ->> 1 AND lane IS NOT NULL AND state < 8 AND state IN (0, 3, 5)
) ORDER BY wanted.key)
FROM json_each(?1) AS wanted

-- name: next_in_lanes
-- The first that wait in each of these lanes (task, name, limit), as many as there is room for: one step for each,
-- because very many may wait.
WITH RECURSIVE wanted (task, lane, room) AS MATERIALIZED (
    SELECT value ->> 0, value ->> 1, (value ->> 2) - (
        SELECT count(*) FROM job
        WHERE task = value ->> 0 AND lane = value ->> 1 AND lane IS NOT NULL AND state < 8 AND state IN (0, 3, 5)
    )
    FROM json_each(?1)
),
next (task, lane, room, priority, seq) AS (
    SELECT task, lane, room, -9223372036854775808, 0 FROM wanted
    UNION ALL
    SELECT next.task, next.lane, next.room - 1, job.priority, job.seq FROM next CROSS JOIN job ON job.seq = coalesce(
        (SELECT seq FROM job WHERE task = next.task AND lane = next.lane AND lane IS NOT NULL AND state < 8 AND state = 2
            AND reason = 'limit' AND priority = next.priority AND seq > next.seq ORDER BY seq LIMIT 1),
        (SELECT seq FROM job WHERE task = next.task AND lane = next.lane AND lane IS NOT NULL AND state < 8 AND state = 2
            AND reason = 'limit' AND priority > next.priority ORDER BY priority, seq LIMIT 1)
    )
    WHERE next.room > 0
)
SELECT json_group_array(json_array(seq, task)) FROM next WHERE seq > 0

-- name: surplus_in_lanes
-- The last that are ready in each lane of these tasks (task, limit), as many as are too many.
SELECT json_group_array(json_array(seq, task, lane, state)) FROM (
    SELECT job.seq, job.task, job.lane, job.state,
        count(*) OVER (PARTITION BY job.task, job.lane) - (wanted.value ->> 1) AS surplus,
        row_number() OVER (PARTITION BY job.task, job.lane, job.state ORDER BY job.priority DESC, job.seq DESC) AS place
    FROM json_each(?1) AS wanted CROSS JOIN job ON job.task = wanted.value ->> 0
    WHERE job.lane IS NOT NULL AND job.state < 8 AND job.state IN (0, 3, 5)
) WHERE state = 0 AND place <= surplus

-- name: blocked_because
SELECT json_group_array(json_array(seq, task, lane, state)) FROM (
    SELECT seq, task, lane, state FROM job WHERE state = 2 AND task = ?1 AND reason = ?2 ORDER BY priority, seq
)

-- name: block_all
UPDATE job SET state = 2, due = NULL, reason = ?2, release = NULL, follows = NULL WHERE seq IN (SELECT value FROM json_each(?1))

-- name: block_until
UPDATE job SET state = 2, due = f.column2, reason = 'rate' FROM (VALUES (?, ?)) AS f WHERE job.seq = f.column1

-- name: running_in_queue
SELECT count(*) FROM job WHERE state = 3 AND queue = ?

-- name: note_progress
INSERT INTO progress (seq, done, total, message, at)
SELECT job.seq, p.column3, p.column4, p.column5, p.column6
FROM (VALUES (?, ?, ?, ?, ?, ?)) AS p CROSS JOIN job ON job.seq = p.column1 AND job.fence = p.column2
WHERE job.state IN (3, 8, 9, 10)
ON CONFLICT DO UPDATE SET done = excluded.done, total = excluded.total, message = excluded.message, at = excluded.at

-- name: add_results
INSERT OR REPLACE INTO result (seq, value) VALUES (?, ?)

-- name: note_dropped
UPDATE job SET reason = ?2 WHERE seq IN (SELECT value FROM json_each(?1))

-- name: add_logs
INSERT INTO log (job, attempt, lines)
SELECT job.seq, 1 + job.failures, l.column2 FROM (VALUES (?, ?)) AS l CROSS JOIN job ON job.seq = l.column1

-- name: enlist
INSERT INTO runner (token, host, pid, boot, started, renewed, lease, release, kind, queues, slots, parent)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: renew
-- Who hears its broker was heard to do so when it renewed its lease.
UPDATE runner SET renewed = ?2,
    last_message = CASE WHEN ?3 OR ?3 IS NULL AND last_message = renewed THEN ?2 ELSE last_message END
WHERE id = ?1

-- name: runner_tokens
SELECT json_group_array(json_array(id, token)) FROM runner WHERE id IN (SELECT value FROM json_each(?1))

-- name: runners
SELECT json_group_array(json_array(id, token, host, pid, boot, renewed, lease)) FROM runner

-- name: living
SELECT token, boot, renewed + lease, id, kind, release, queues, slots, parent, host, pid, started,
    (SELECT count(*) FROM job WHERE state = 3 AND job.runner = runner.id), renewed - last_message
FROM runner

-- name: queues
SELECT queue, state, count(*), min(created), sum(failed) FROM (
    SELECT queue, state, created, 0 AS failed FROM job WHERE state = 0
    UNION ALL SELECT queue, state, created, failures > 0 FROM job WHERE state = 1
    UNION ALL SELECT queue, state, created, 0 FROM job WHERE state = 2
    UNION ALL SELECT queue, state, created, 0 FROM job WHERE state = 3
    UNION ALL SELECT queue, state, created, 0 FROM job WHERE state = 4
    UNION ALL SELECT queue, state, created, 0 FROM job WHERE state = 5
) GROUP BY queue, state

-- name: orphan
SELECT EXISTS (SELECT 1 FROM runner WHERE id = ?1 AND parent IS NOT NULL AND parent NOT IN (SELECT id FROM runner))

-- name: lead
SELECT json_array(lead.runner, lead.until, runner.boot, runner.renewed, runner.lease, runner.token)
FROM lead JOIN runner ON runner.id = lead.runner WHERE lead.duty = ?1

-- name: take_lead
INSERT INTO lead (duty, runner, until) SELECT ?1, id, ?3 FROM runner WHERE id = ?2
ON CONFLICT DO UPDATE SET runner = excluded.runner, until = excluded.until

-- name: let_go_of_lead
DELETE FROM lead WHERE duty = ?1 AND runner = ?2

-- name: forget_runner
DELETE FROM runner WHERE id = ?

-- name: forget_these_runners
DELETE FROM runner WHERE id IN (SELECT value FROM json_each(?1))

-- name: orphaned_runners
WITH RECURSIVE holder (id) AS (
    SELECT min(runner) FROM job WHERE state = 3
    UNION ALL
    SELECT (SELECT min(runner) FROM job WHERE state = 3 AND runner > holder.id) FROM holder WHERE holder.id IS NOT NULL
)
SELECT json_group_array(id) FROM (
    SELECT id FROM holder WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM runner)
    UNION ALL SELECT NULL WHERE EXISTS (SELECT 1 FROM job WHERE state = 3 AND runner IS NULL)
)

-- name: waiting
waiting (queue) AS (
    SELECT min(queue) FROM job WHERE state = 0 AND queue >= ''
    UNION ALL
    SELECT (SELECT min(queue) FROM job WHERE state = 0 AND queue > waiting.queue) FROM waiting WHERE waiting.queue IS NOT NULL
)

-- name: ready_queues
WITH RECURSIVE $waiting
SELECT CASE WHEN EXISTS (SELECT 1 FROM runner WHERE id = ?1)
    THEN (SELECT json_group_array(queue) FROM waiting WHERE queue IS NOT NULL) END

-- name: is_enlisted
SELECT EXISTS (SELECT 1 FROM runner WHERE id = ?1)

-- name: published
SELECT queue, count(*), min(coalesce(published_at, 0)), max(coalesce(publishes, 1))
FROM job INDEXED BY job_published WHERE state = 5 GROUP BY queue ORDER BY queue

-- name: ready_ids
SELECT id FROM job WHERE state = 0 AND queue = ?1 ORDER BY suspect, priority, seq LIMIT ?2

-- name: out
SELECT json_group_array(json_array(seq, hex(id), published_at, publishes, iif(context IS NULL, NULL, hex(context)))) FROM (
    SELECT * FROM job INDEXED BY job_published WHERE state = 5 AND queue = ?1 ORDER BY priority, seq
)

-- name: all_out
SELECT json_group_array(json_array(seq, task, hex(queue))) FROM job INDEXED BY job_published WHERE state = 5

-- name: out_of_these
SELECT json_group_array(json_array(job.seq, job.task, hex(job.queue)))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.id = unhex(wanted.value) WHERE job.state = 5

-- name: next_ready
SELECT json_group_array(json_array(seq, hex(id), iif(context IS NULL, NULL, hex(context)), task)) FROM (
    SELECT seq, id, context, task FROM job WHERE state = 0 AND queue = ?1 ORDER BY suspect, priority, seq LIMIT ?2
)

-- name: publish
UPDATE job SET publishes = CASE state WHEN 5 THEN coalesce(publishes, 0) + 1 ELSE 1 END, published_at = ?2, state = 5
WHERE seq IN (SELECT value FROM json_each(?1))

-- name: withdraw
UPDATE job SET state = 0 WHERE seq IN (SELECT value FROM json_each(?1)) AND state = 5

-- name: readable
-- Else some cell of it cannot be what it says: it is given without arguments, and nobody may claim it.
-- Only a whole number is itself | 0, and only a number is less than one.
typeof(j.id) = 'blob' AND j.created | 0 = j.created AND j.failures | 0 = j.failures
    AND j.fence | 0 = j.fence AND j.fence < 1000000000000000 AND j.once < 2
    AND $claimable

-- name: as_ready
-- In the order of the fields of `Ready`, but for the arguments.
j.seq, hex(j.id), j.fence + 1, j.task, j.queue, j.failures, j.suspect, j.once, j.created, j.followed, j.lane,
j.started IS NOT NULL, j.first_due, $given

-- name: ready
SELECT json_group_array(
    json_array($as_ready, CASE WHEN $readable THEN iif(?5, hex(p.args), CAST(p.args AS TEXT)) END)
    ORDER BY j.priority, j.seq
)
FROM (
    SELECT * FROM job WHERE state = 0 AND queue = ?1 AND suspect = ?2 ORDER BY priority, seq LIMIT ?3 OFFSET ?4
) AS j LEFT JOIN payload AS p ON p.seq = j.seq

-- name: ready_but
SELECT json_group_array(
    json_array($as_ready, CASE WHEN $readable THEN iif(?6, hex(p.args), CAST(p.args AS TEXT)) END)
    ORDER BY j.priority, j.seq
)
FROM (
    SELECT * FROM (SELECT * FROM job WHERE state = 0 AND queue = ?2 AND suspect = ?3 ORDER BY priority, seq LIMIT 4000)
    WHERE task NOT IN (SELECT value FROM json_each(?1)) ORDER BY priority, seq LIMIT ?4 OFFSET ?5
) AS j LEFT JOIN payload AS p ON p.seq = j.seq

-- name: lie
SELECT json_group_array(json_array(wanted.value, job.seq, job.state, job.reason, job.queue) ORDER BY wanted.key)
FROM json_each(?1) AS wanted LEFT JOIN job ON job.seq = coalesce(
    (SELECT own.seq FROM job AS own WHERE own.id = unhex(wanted.value)),
    (SELECT alias.job FROM alias WHERE alias.id = unhex(wanted.value))
)

-- name: ready_these
SELECT json_group_array(
    json_array($as_ready, CASE WHEN $readable THEN iif(?2, hex(p.args), CAST(p.args AS TEXT)) END)
)
FROM json_each(?1) AS wanted CROSS JOIN job AS j ON j.seq = wanted.value LEFT JOIN payload AS p ON p.seq = j.seq

-- name: followers
WITH RECURSIVE run (seq, followed, place) AS (
    SELECT seq, followed, 0 FROM job WHERE follows = ?1 AND state = 2 AND reason IS NULL
    UNION ALL
    SELECT job.seq, job.followed, run.place + 1 FROM run CROSS JOIN job ON job.follows = run.seq
    WHERE run.followed AND job.state = 2 AND job.reason IS NULL
    LIMIT ?2
)
SELECT json_group_array(
    json_array($as_ready, CASE WHEN $readable THEN iif(?3, hex(p.args), CAST(p.args AS TEXT)) END)
    ORDER BY run.place
)
FROM run CROSS JOIN job AS j ON j.seq = run.seq LEFT JOIN payload AS p ON p.seq = j.seq

-- name: claim
UPDATE job SET state = 3, fence = fence + 1, runner = ?1, due = NULL WHERE seq IN (SELECT value FROM json_each(?2))

-- name: finish_succeeded
UPDATE job SET state = 8, started = f.column3, finished = f.column4
FROM (VALUES (?, ?, ?, ?)) AS f
WHERE job.seq = f.column1 AND job.fence = f.column2 AND job.state = 3

-- name: standings
SELECT json_group_array(json_array(
    job.seq, job.state, job.fence, job.task, job.failures, job.runner IS NULL, job.lane, job.cancel_asked IS NOT NULL,
    hex(job.queue)
))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.seq = wanted.value

-- name: finish_all
UPDATE job SET state = f.column2, started = f.column3, finished = f.column4, failures = f.column5, due = f.column6,
    reason = f.column7, release = f.column8, runner = 0, suspect = suspect AND f.column2 = 4
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?)) AS f
WHERE job.seq = f.column1

-- name: set_notes
INSERT OR REPLACE INTO note (seq, text) VALUES (?, ?)

-- name: add_attempts
INSERT OR REPLACE INTO attempt (job, n, started, finished, error, traceback, host, pid, release)
SELECT a.*, coalesce(
    (SELECT release FROM runner WHERE host = a.column7 AND pid = a.column8 ORDER BY id DESC LIMIT 1), ''
)
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?)) AS a

-- name: held_back
SELECT json_group_array(json_array(seq, task, lane, state)) FROM job
WHERE seq IN (SELECT value FROM json_each(?1)) AND state = 2 AND reason IS NULL

-- name: waiting_for
SELECT json_group_array(json_array(job.seq, job.task, job.lane, job.state) ORDER BY wanted.key)
FROM json_each(?1) AS wanted CROSS JOIN job ON job.follows = wanted.value
WHERE job.follows IS NOT NULL AND job.state = 2 AND job.reason IS NULL

-- name: follow_others
UPDATE job SET follows = f.column2 FROM (VALUES (?, ?)) AS f
WHERE job.follows = f.column1 AND job.follows IS NOT NULL AND job.state = 2 AND job.reason IS NULL

-- name: next_number
SELECT 1 + max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'job'), 0), coalesce((SELECT max(seq) FROM job), 0)
)

-- name: lanes_of
SELECT json_group_array(json_array(task, lane)) FROM (
    SELECT DISTINCT task, lane FROM job WHERE seq IN (SELECT value FROM json_each(?1)) AND lane IS NOT NULL
)

-- name: any_ready
SELECT EXISTS (SELECT 1 FROM job WHERE state = 0 AND queue = ?)

-- name: held
SELECT json_group_array(json_array(
    job.seq, job.task, job.lane, job.followed, job.cancel_asked IS NOT NULL, hex(job.queue), job.fence, job.runner
))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.seq = wanted.value
WHERE job.state = 3

-- name: holds
SELECT seq, fence FROM job WHERE state = 3 AND runner = ?

-- name: note_begun
UPDATE job SET started = f.column2 FROM (VALUES (?, ?)) AS f WHERE job.seq = f.column1

-- name: release
UPDATE job SET state = 0, runner = NULL, follows = NULL WHERE seq IN (SELECT value FROM json_each(?1))

-- name: block_behind
UPDATE job SET state = 2, due = f.column2, follows = f.column3 FROM (VALUES (?, ?, ?)) AS f WHERE job.seq = f.column1

-- name: note_followed
UPDATE job SET followed = 1 WHERE seq IN (SELECT value FROM json_each(?1))

-- name: held_by
-- What these runners hold; one that is null is of rows that lack theirs.
SELECT json_group_array(json_array(
    job.seq, job.task, job.lane, job.followed, job.cancel_asked IS NOT NULL, job.runner, job.suspect, job.deaths, job.once,
    hex(job.queue)
))
FROM json_each(?1) AS wanted CROSS JOIN job ON job.runner IS wanted.value
WHERE job.state = 3

-- name: bury_all
UPDATE job SET state = f.column2, runner = CASE f.column2 WHEN 0 THEN NULL ELSE runner END, follows = NULL,
    started = coalesce(f.column3, started), suspect = f.column4, deaths = f.column5, reason = f.column6, finished = f.column7
FROM (VALUES (?, ?, ?, ?, ?, ?, ?)) AS f
WHERE job.seq = f.column1

-- name: due
SELECT json_group_array(json_array(seq, task, lane, state)) FROM (
    SELECT seq, task, lane, state FROM job WHERE state = 1 AND due <= ?1 ORDER BY due, seq LIMIT ?2
)

-- name: due_blocked
SELECT json_group_array(json_array(seq, task, lane, state)) FROM (
    SELECT seq, task, lane, state FROM job WHERE state = 2 AND due IS NOT NULL AND due <= ?1 ORDER BY due, seq LIMIT ?2
)

-- name: ready_all
UPDATE job SET state = 0, due = NULL, reason = NULL, release = NULL, follows = NULL WHERE seq IN (SELECT value FROM json_each(?1))

-- name: next_due
SELECT min(due) FROM (
    SELECT min(due) AS due FROM job WHERE state = 1 UNION ALL SELECT min(due) FROM job WHERE state = 2 AND due IS NOT NULL
)

-- name: never_due
SELECT EXISTS (SELECT 1 FROM job WHERE state = 1 AND due IS NULL)
    OR EXISTS (SELECT 1 FROM job WHERE state = 1 AND due > 253402300799999999)
    OR EXISTS (SELECT 1 FROM job WHERE state = 2 AND due IS NOT NULL AND due > 253402300799999999)

-- name: parked
SELECT task_name.name, p.release FROM (
    SELECT DISTINCT task, release FROM job WHERE state = 4 AND release IS NOT NULL
) AS p JOIN task_name ON task_name.id = p.task

-- name: parked_jobs
SELECT json_group_array(json_array(seq, task, lane, state, release)) FROM (
    SELECT job.seq, job.task, job.lane, job.state, job.release
    FROM json_each(?1) AS wanted CROSS JOIN job ON job.task = wanted.value ->> 0 AND job.release = wanted.value ->> 1
    WHERE job.state = 4 AND (?3 OR NOT job.suspect) ORDER BY job.seq LIMIT ?2
)

-- name: first_seq
SELECT min(seq) FROM job

-- name: last_seq
SELECT max(seq) FROM job

-- name: old_successes
SELECT json_group_array(json_array(seq, task, state)) FROM (
    SELECT seq, task, state FROM job WHERE seq BETWEEN ?1 AND ?2 AND state = 8 AND finished < ?3 ORDER BY seq LIMIT ?4
)

-- name: oldest_successes
SELECT json_group_array(json_array(seq, task, state)) FROM (
    SELECT seq, task, state FROM job WHERE seq BETWEEN ?1 AND ?2 AND state = 8 ORDER BY seq LIMIT ?3
)

-- name: oldest_failed
SELECT json_group_array(json_array(seq, task, state)) FROM (
    SELECT seq, task, state FROM job WHERE state = 9 AND finished < ?1 ORDER BY finished LIMIT ?2
)

-- name: oldest_cancelled
SELECT json_group_array(json_array(seq, task, state)) FROM (
    SELECT seq, task, state FROM job WHERE state = 10 AND finished < ?1 ORDER BY finished LIMIT ?2
)

-- name: jobs_in_state
SELECT coalesce(sum(n), 0) FROM stat WHERE state = ?

-- name: prune_jobs
DELETE FROM job WHERE seq IN (SELECT value FROM json_each(?1))

-- name: prune_payloads
DELETE FROM payload WHERE seq IN (SELECT value FROM json_each(?1))

-- name: prune_results
DELETE FROM result WHERE seq IN (SELECT value FROM json_each(?1))

-- name: prune_attempts
DELETE FROM attempt WHERE job IN (SELECT value FROM json_each(?1))

-- name: prune_aliases
DELETE FROM alias WHERE job IN (SELECT value FROM json_each(?1))

-- name: prune_progress
DELETE FROM progress WHERE seq IN (SELECT value FROM json_each(?1))

-- name: prune_notes
DELETE FROM note WHERE seq IN (SELECT value FROM json_each(?1))

-- name: prune_logs
DELETE FROM log WHERE job IN (SELECT value FROM json_each(?1))

-- name: rename_task
UPDATE task_name SET name = ?2 WHERE id = ?1

-- name: clear_stats
DELETE FROM stat

-- name: count_again
INSERT INTO stat (task, state, n) SELECT task, state, count(*) FROM job
WHERE typeof(task) = 'integer' AND typeof(state) = 'integer' GROUP BY task, state

-- name: add_payload_if_missing
INSERT INTO payload (seq, codec, args) VALUES (?, 0, x'') ON CONFLICT DO NOTHING

-- name: numbers_used_up
SELECT EXISTS (SELECT 1 FROM job WHERE seq > ?1) OR EXISTS (SELECT 1 FROM runner WHERE id > ?1)
    OR EXISTS (SELECT 1 FROM sqlite_sequence WHERE seq > ?1)

-- name: jobs_beyond
SELECT json_group_array(seq) FROM job WHERE seq > ?

-- name: runners_beyond
SELECT json_group_array(id) FROM runner WHERE id > ?

-- name: left_payloads
SELECT json_group_array(seq) FROM payload WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = payload.seq)

-- name: next_seq
SELECT 1 + max(
    coalesce((SELECT max(seq) FROM job WHERE seq <= ?1), 0), coalesce((SELECT max(seq) FROM payload WHERE seq <= ?1), 0)
)

-- name: give_seq
UPDATE job SET seq = ?2 WHERE seq = ?1

-- name: give_follows
UPDATE job SET follows = ?2 WHERE follows = ?1

-- name: give_payload_seq
UPDATE OR IGNORE payload SET seq = ?2 WHERE seq = ?1

-- name: count_jobs_from
UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seq), 0) FROM job) WHERE name = 'job' AND seq > ?

-- name: count_runners_from
UPDATE sqlite_sequence SET seq = max(
    (SELECT coalesce(max(id), 0) FROM runner),
    (SELECT coalesce(max(runner), 0) FROM job WHERE state = 3 AND runner <= ?1)
) WHERE name = 'runner' AND seq > ?1

-- name: record
-- After the job's own columns, in the order of the fields of `Beside`.
SELECT $job, task_name.name, payload.args,
    CASE WHEN job.failures THEN (SELECT error FROM attempt WHERE attempt.job = job.seq ORDER BY n DESC LIMIT 1) END,
    runner.token, note.text, progress.done, progress.total, progress.message, progress.at
FROM job LEFT JOIN task_name ON task_name.id = job.task LEFT JOIN payload ON payload.seq = job.seq
    LEFT JOIN progress ON progress.seq = job.seq LEFT JOIN runner ON job.state = 3 AND runner.id = job.runner
    LEFT JOIN note ON job.state = 4 AND note.seq = job.seq

-- name: found
SELECT job.seq, job.id, task_name.name, job.state FROM job LEFT JOIN task_name ON task_name.id = job.task

-- name: ended_by_id
SELECT json_group_array(json_array(job.seq, job.task, job.state, asked.key)) FROM json_each(?1) AS asked
JOIN job ON job.seq = coalesce(
    (SELECT seq FROM job WHERE id = unhex(asked.value)), (SELECT job FROM alias WHERE id = unhex(asked.value))
)
WHERE job.state BETWEEN 8 AND 10

-- name: ids_between
SELECT id FROM job WHERE id BETWEEN ?1 AND ?2 UNION
SELECT job.id FROM alias JOIN job ON job.seq = alias.job WHERE alias.id BETWEEN ?1 AND ?2 LIMIT 2

-- name: result
SELECT value FROM result WHERE seq = ?

-- name: logs
SELECT attempt, lines FROM log WHERE job = ? ORDER BY rowid

-- name: attempts
SELECT n, started, finished, error, traceback, host, pid, release FROM attempt WHERE job = ? ORDER BY n

-- name: counts
SELECT task_name.name, stat.task, stat.state, stat.n FROM stat LEFT JOIN task_name ON task_name.id = stat.task

-- name: tallies
SELECT task_name.name, t.task, t.state, t.n, t.queue
FROM (
    SELECT task, state, n, NULL AS queue FROM stat
    UNION ALL SELECT task, outcome, n, NULL FROM minute WHERE minute = 0
    UNION ALL SELECT task, outcome, n, queue FROM sums WHERE minute = 0
) AS t
LEFT JOIN task_name ON task_name.id = t.task ORDER BY t.task

-- name: schedule
name, task, queue, rule, zone, missed, leeway, hex(args), terms

-- name: schedules_due
SELECT json_group_array(json_array($schedule, done)) FROM (
    SELECT * FROM declared_schedule WHERE next <= ?1 ORDER BY next, name
)

-- name: schedule_in_force
SELECT json_group_array(json_array($schedule, done)) FROM declared_schedule WHERE name = ?1 AND removed IS NULL

-- name: next_fire
SELECT min(next) FROM declared_schedule WHERE next > ?1

-- name: schedules_done
UPDATE declared_schedule SET done = f.column2, next = f.column3 FROM (VALUES (?, ?, ?)) AS f WHERE name = f.column1

-- name: times_marked
SELECT json_group_array(json_array(s.name, s.due)) FROM json_each(?1) AS wanted
CROSS JOIN schedule AS s ON s.name = wanted.value ->> 0 AND s.due = wanted.value ->> 1

-- name: mark_times
INSERT INTO schedule (name, due, job) VALUES (?, ?, ?)

-- name: forget_times
DELETE FROM schedule WHERE name IN (SELECT value FROM json_each(?1)) AND due < ?2
    AND due < (SELECT s.due FROM schedule AS s WHERE s.name = schedule.name ORDER BY s.due DESC LIMIT 1 OFFSET ?3)

-- name: pause_schedule
UPDATE declared_schedule SET paused = ?2, next = NULL WHERE name = ?1 AND paused IS NULL AND removed IS NULL

-- name: resume_schedule
UPDATE declared_schedule SET paused = NULL, done = ?2, next = ?3 WHERE name = ?1 AND paused IS NOT NULL AND removed IS NULL

-- name: schedule_sets
SELECT json_group_array(json_array(digest, first)) FROM schedule_set WHERE application = ?1

-- name: add_schedule_set
INSERT INTO schedule_set (application, digest, first) VALUES (?1, ?2, ?3)

-- name: schedule_declarers
SELECT json_group_array(json_array(runner, digest)) FROM schedule_declarer
WHERE application = ?1 AND runner IN (SELECT id FROM runner)

-- name: note_declarer
INSERT INTO schedule_declarer (runner, application, digest) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET digest = excluded.digest

-- name: forget_declarers
DELETE FROM schedule_declarer WHERE runner NOT IN (SELECT id FROM runner)

-- name: declared_schedules
SELECT json_group_array(json_array($schedule, application, done, paused, removed)) FROM declared_schedule
WHERE application = ?1 OR name IN (SELECT value FROM json_each(?2))

-- name: put_schedule
INSERT INTO declared_schedule (name, task, queue, rule, zone, missed, leeway, args, terms, application, done, next)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT DO UPDATE SET task = excluded.task, queue = excluded.queue, rule = excluded.rule, zone = excluded.zone,
    missed = excluded.missed, leeway = excluded.leeway, args = excluded.args, terms = excluded.terms,
    application = excluded.application, done = excluded.done, next = excluded.next, removed = NULL

-- name: remove_schedules
UPDATE declared_schedule SET next = NULL, removed = ?2 WHERE name IN (SELECT value FROM json_each(?1))

-- name: schedules
SELECT s.name, s.task, s.queue, s.rule, s.zone, s.missed, s.leeway, s.args, s.terms, s.application, s.next, s.paused,
    t.due, t.job, job.id, job.state
FROM declared_schedule AS s
LEFT JOIN schedule AS t ON t.name = s.name AND t.due = (SELECT max(due) FROM schedule WHERE schedule.name = s.name)
LEFT JOIN job ON job.seq = t.job
WHERE s.removed IS NULL ORDER BY s.name

-- name: schedule_times
SELECT t.due, t.job, job.id, job.state FROM schedule AS t LEFT JOIN job ON job.seq = t.job
WHERE t.name = ?1 ORDER BY t.due DESC LIMIT ?2

-- name: outlook
WITH RECURSIVE $waiting
SELECT json_array(
    json((SELECT json_group_array(queue) FROM waiting WHERE queue IS NOT NULL)),
    ($next_due),
    json((SELECT json_group_array(json_array(runner, seq)) FROM (
        SELECT runner, seq FROM job WHERE state = 3 AND cancel_asked IS NOT NULL
        UNION ALL SELECT id, NULL FROM runner WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM runner)
    ))),
    json((SELECT json_group_array(json_array(kind, name)) FROM pause)),
    (SELECT min(next) FROM declared_schedule)
)

-- name: meta
SELECT value FROM meta WHERE key = ?

-- name: set_meta
INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: all_meta
SELECT key, value FROM meta

-- name: tokens
SELECT token FROM runner

-- name: wrong_tally
-- What cannot be true, and how often it is: see relational/contradictions.py.
SELECT count(*), NULL FROM (
    SELECT task, state FROM (SELECT task, state, n FROM stat UNION ALL SELECT task, state, -count(*) AS n FROM job GROUP BY task, state) AS each
    GROUP BY task, state HAVING sum(n) <> 0
) AS wrong

-- name: wrong_runner
SELECT count(*), min(hex(id)) FROM job
WHERE state = 3 AND NOT EXISTS (SELECT 1 FROM runner WHERE runner.id = job.runner)

-- name: wrong_claim
SELECT count(*), min(hex(id)) FROM job WHERE state = 3 AND fence < 1

-- name: wrong_arguments
SELECT count(*), min(hex(id)) FROM job
WHERE state < 8 AND NOT EXISTS (SELECT 1 FROM payload WHERE payload.seq = job.seq)

-- name: wrong_task
SELECT count(*), min(hex(id)) FROM job
WHERE NOT EXISTS (SELECT 1 FROM task_name WHERE task_name.id = job.task)

-- name: wrong_end
SELECT count(*), min(hex(id)) FROM job WHERE state >= 8 AND finished IS NULL

-- name: wrong_follower
SELECT count(*), min(hex(id)) FROM job
WHERE state = 2 AND follows IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM job AS before WHERE before.seq = job.follows)

-- name: wrong_leftovers
SELECT sum(n), NULL FROM (
    SELECT count(*) AS n FROM payload WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = payload.seq) UNION ALL
    SELECT count(*) AS n FROM result WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = result.seq) UNION ALL
    SELECT count(*) AS n FROM progress WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = progress.seq) UNION ALL
    SELECT count(*) AS n FROM note WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = note.seq) UNION ALL
    SELECT count(*) AS n FROM about WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = about.seq) UNION ALL
    SELECT count(*) AS n FROM failure WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = failure.seq) UNION ALL
    SELECT count(*) AS n FROM attempt WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = attempt.job) UNION ALL
    SELECT count(*) AS n FROM log WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = log.job) UNION ALL
    SELECT count(*) AS n FROM alias WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.seq = alias.job)
) AS each

-- name: integrity
PRAGMA integrity_check(10)
