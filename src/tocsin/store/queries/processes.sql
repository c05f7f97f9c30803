-- name: enter
-- about: A process begins. Its id is new, whoever was here before.
INSERT INTO processes (role, version, step, revision) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: beat
-- about: It lives. Nothing is changed where others have given it up for lost.
UPDATE processes SET seen_at = clock_timestamp(), revision = $2 WHERE id = $1 RETURNING id;

-- name: leave
-- about: It ends by its own will.
DELETE FROM processes WHERE id = $1;

-- name: bury
-- about: Whoever was here is dead.
DELETE FROM processes;

-- name: alive
-- about: Who has shown life within so many seconds, the eldest first.
SELECT id, role, version, step, revision, started_at, seen_at
FROM processes
WHERE seen_at > clock_timestamp() - make_interval(secs => $1::double precision)
ORDER BY id;

-- name: prune
-- about: Forget those that have been silent for so many seconds.
DELETE FROM processes WHERE seen_at < now() - make_interval(secs => $1::double precision);
