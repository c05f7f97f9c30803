-- name: append
-- about: Add events. The primary key refuses a number that is taken: two writers would be a bug.
INSERT INTO journal (stream, seq, at, revision, body)
SELECT $1, $2::bigint + e.place - 1, e.at, $3, e.body
FROM unnest($4::timestamptz[], $5::bytea[]) WITH ORDINALITY AS e (at, body, place);

-- name: page
-- about: The next events of a stream after one of them.
SELECT seq, at, body FROM journal WHERE stream = $1 AND seq > $2 ORDER BY seq LIMIT $3;

-- name: extent
-- about: Between which numbers a stream has events, and how many.
SELECT coalesce(min(seq), 0) AS first, coalesce(max(seq), 0) AS last, count(*) AS count
FROM journal WHERE stream = $1;

-- name: names
-- about: The next streams by name, those with events and those without. One step of the index each.
WITH RECURSIVE named (stream, steps) AS (
    (SELECT stream, 1 FROM journal WHERE stream > $1 ORDER BY stream LIMIT 1)
    UNION ALL
    SELECT (
        SELECT j.stream FROM journal j WHERE j.stream > n.stream ORDER BY j.stream LIMIT 1
    ), n.steps + 1
    FROM named n
    WHERE n.stream IS NOT NULL AND n.steps < $2
)
(SELECT stream FROM named WHERE stream IS NOT NULL)
UNION
(SELECT stream FROM streams WHERE stream > $1 ORDER BY stream LIMIT $2)
ORDER BY stream
LIMIT $2;

-- name: since
-- about: The events of all streams in the order of time; of one instant, desks before incidents.
SELECT stream, at, body FROM journal WHERE at >= $1 ORDER BY at, stream, seq;
