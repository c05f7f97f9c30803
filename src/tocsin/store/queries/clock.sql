-- name: hold
-- about: The time, for one who decides by it; the clock is not set back under them until they are done.
-- The lock comes first, so the time is read under it.
WITH held AS MATERIALIZED (
    SELECT pg_advisory_xact_lock_shared(hashtextextended('tocsin clock', 0))
), told AS MATERIALIZED (
    SELECT clock_timestamp() AS at FROM held
)
SELECT told.at, told.at < s.latest AS is_behind FROM told, clock_seen s;

-- name: look
-- about: The time, the latest ever seen, and how many steps back were dealt with.
SELECT clock_timestamp() AS at, latest, steps FROM clock_seen;

-- name: note
-- about: It never was so late. Lost with a crash of the server it was so a second ago: good enough.
WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
UPDATE clock_seen SET latest = clock_timestamp()
FROM relaxed
WHERE latest < clock_timestamp() - interval '500 milliseconds';

-- name: begin_moving
-- about: Wait for all who decide by the clock; who comes later waits for us.
SELECT pg_advisory_xact_lock(hashtextextended('tocsin clock', 0));

-- name: accept
-- about: This is the latest from now on.
UPDATE clock_seen SET latest = clock_timestamp();

-- name: moved
-- about: This is the latest from now on, after one more step back that was dealt with.
UPDATE clock_seen SET latest = clock_timestamp(), steps = steps + 1 WHERE steps = $1 RETURNING steps;

-- name: tell
-- about: An input for every open incident, before all that waits there. Who has least time, first.
INSERT INTO inbox (stream, priority, body)
SELECT $2 || i.id, -1, $1::bytea
FROM incidents i
LEFT JOIN (SELECT stream, min(due_at) AS due_at FROM timers GROUP BY stream) next
    ON next.stream = $2 || i.id
WHERE i.is_open
ORDER BY next.due_at, i.id
RETURNING stream;

-- name: move_deliveries
-- about: What waits for its next try waits as long as before. No lease is longer than a whole one.
UPDATE deliveries
SET due_at = due_at - make_interval(secs => $1::double precision),
    leased_until = CASE
        WHEN leased_until > clock_timestamp() + make_interval(secs => $2::double precision)
        THEN clock_timestamp() + make_interval(secs => $2::double precision)
        ELSE leased_until
    END
WHERE state = 'pending';

-- name: move_processes
-- about: Nobody was seen in the future: a process that died is soon known to be dead.
UPDATE processes SET seen_at = clock_timestamp() WHERE seen_at > clock_timestamp();

-- name: move_jobs
-- about: Jobs are due when their rows are.
UPDATE tocsin_pgqueuer
SET execute_after = execute_after - make_interval(secs => $1::double precision),
    heartbeat = CASE WHEN heartbeat > clock_timestamp() THEN clock_timestamp() ELSE heartbeat END;
