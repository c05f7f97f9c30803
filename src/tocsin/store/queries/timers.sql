-- name: replace
-- about: Make the timers of a stream exactly these; say which are new or moved, and how far off.
WITH wanted AS (
    SELECT * FROM unnest($2::text[], $3::timestamptz[]) AS w (name, due_at)
), gone AS (
    DELETE FROM timers WHERE stream = $1 AND name <> ALL($2::text[])
), written AS (
    INSERT INTO timers (stream, name, due_at)
    SELECT $1, name, due_at FROM wanted
    ON CONFLICT (stream, name) DO UPDATE SET due_at = excluded.due_at
    WHERE timers.due_at <> excluded.due_at
    RETURNING name, due_at
)
SELECT name, greatest(due_at - now(), interval '0') AS after FROM written;

-- name: take_due
-- about: Take a timer off if its time has come by the database's clock. Only one can.
DELETE FROM timers WHERE stream = $1 AND name = $2 AND due_at <= now() RETURNING due_at;

-- name: take_overdue
-- about: Take off timers that nobody took in time. What another transaction is taking is left to it.
DELETE FROM timers t
USING (
    SELECT stream, name FROM timers
    WHERE due_at <= now() - make_interval(secs => $1::double precision)
    ORDER BY due_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
) o
WHERE t.stream = o.stream AND t.name = o.name
RETURNING t.stream, t.name, t.due_at;

-- name: of
-- about: All timers of a stream.
SELECT name, due_at FROM timers WHERE stream = $1 ORDER BY due_at, name;
