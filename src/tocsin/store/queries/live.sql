-- name: announce
-- about: Tell all who listen, when this transaction commits. Twice in one is once.
SELECT pg_notify('tocsin_live', $1);

-- name: probe
-- about: Whether the connection still leads anywhere.
SELECT 1;

-- name: mark
-- about: What differs whenever something was taken in, decided, silenced or put in force.
SELECT (SELECT last_value FROM inbox_id_seq),
    (SELECT max(done_at) FROM inbox WHERE done_at IS NOT NULL),
    EXISTS (SELECT FROM inbox WHERE done_at IS NULL),
    (SELECT max(updated_at) FROM silences),
    (SELECT count(*) FROM runbooks);
