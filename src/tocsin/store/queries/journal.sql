-- name: append
-- about: Add events. The primary key refuses a number that is taken: two writers would be a bug.
INSERT INTO journal (stream, seq, at, revision, body)
SELECT $1, $2::bigint + e.place - 1, e.at, $3, e.body
FROM unnest($4::timestamptz[], $5::bytea[]) WITH ORDINALITY AS e (at, body, place);

-- name: read
-- about: All events of a stream, in their order.
SELECT seq, at, body FROM journal WHERE stream = $1 ORDER BY seq;
