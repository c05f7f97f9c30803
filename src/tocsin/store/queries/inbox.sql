-- name: append
-- about: Keep inputs in their order. Committed means: will be judged.
INSERT INTO inbox (stream, priority, body, sender)
SELECT i.stream, i.priority, i.body, $4
FROM unnest($1::text[], $2::smallint[], $3::bytea[]) WITH ORDINALITY AS i (stream, priority, body, place)
ORDER BY i.place
RETURNING id;

-- name: take_in
-- about: Keep signals of many senders in their order, and say so: all in one statement, so that it
-- can be a transaction by itself. A single one, the common case, costs less this way than by COPY;
-- five hundred cost a fifth more.
WITH kept AS (
    INSERT INTO inbox (stream, priority, body, sender)
    SELECT i.stream, 1, i.body, i.sender
    FROM unnest($1::text[], $2::bytea[], $3::text[])
        WITH ORDINALITY AS i (stream, body, sender, place)
    ORDER BY i.place
)
SELECT pg_notify('tocsin_live', 'inbox');

-- name: mark
-- about: A place in the transaction to come back to.
SAVEPOINT divided;

-- name: come_back
-- about: Undo what was done since the mark, and nothing before it.
ROLLBACK TO SAVEPOINT divided;

-- name: waiting_by_sender
-- about: How many signals of each sender wait. Counting ends at a limit, so that a flood cannot make
-- it slow. What people did and what we told ourselves is not counted.
SELECT w.sender, count(*) AS waiting
FROM (
    SELECT sender FROM inbox
    WHERE done_at IS NULL AND priority > 0 AND sender <> ''
    LIMIT $1
) w
GROUP BY w.sender;

-- name: waiting_streams
-- about: Streams with inputs not judged yet: those with a person's first, then the longest waiting.
-- One step of the index per stream, however long the queue of one stream is, and no more than so
-- many steps, however many streams there are.
WITH RECURSIVE passed (stream, steps) AS (
    (SELECT stream, 1 FROM inbox WHERE done_at IS NULL AND stream > $2 ORDER BY stream LIMIT 1)
    UNION ALL
    SELECT (
        SELECT i.stream FROM inbox i
        WHERE i.done_at IS NULL AND i.stream > p.stream
        ORDER BY i.stream LIMIT 1
    ), p.steps + 1
    FROM passed p
    WHERE p.stream IS NOT NULL AND p.steps < $1
), urgent AS (
    SELECT stream FROM inbox WHERE done_at IS NULL AND priority <= 0 LIMIT $1
), named AS (
    SELECT stream, true AS is_passed FROM passed WHERE stream IS NOT NULL
    UNION
    SELECT u.stream, false FROM urgent u
    WHERE NOT EXISTS (SELECT FROM passed p WHERE p.stream = u.stream)
)
SELECT n.stream, head.sender, head.priority <= 0 AS is_urgent, n.is_passed
FROM named n
CROSS JOIN LATERAL (
    SELECT i.priority, i.id, i.sender FROM inbox i
    WHERE i.done_at IS NULL AND i.stream = n.stream
    ORDER BY i.priority, i.id LIMIT 1
) head
ORDER BY head.priority, head.id;

-- name: take
-- about: The next inputs of one stream, people's first, then in the order they came: one at least,
-- and of the others no more than so many bytes.
SELECT id, body, received_at, sender FROM (
    SELECT id, body, received_at, sender, priority,
        sum(octet_length(body)) OVER next AS bytes, row_number() OVER next AS place
    FROM (
        SELECT id, body, received_at, sender, priority FROM inbox
        WHERE done_at IS NULL AND stream = $1
        ORDER BY priority, id
        LIMIT $2
    ) first
    WINDOW next AS (ORDER BY priority, id ROWS UNBOUNDED PRECEDING)
) weighed
WHERE place = 1 OR bytes <= $3
ORDER BY priority, id;

-- name: finish_signals
-- about: Judged signals are in the journal now; here they are gone.
DELETE FROM inbox WHERE id = ANY($1::bigint[]) AND priority <> 0;

-- name: finish_humans
-- about: People wait for an answer, so theirs stay with it until they are pruned.
UPDATE inbox i
SET done_at = now(), refusal = coalesce(r.refusal, '')
FROM unnest($1::bigint[]) AS d (id)
LEFT JOIN unnest($2::bigint[], $3::text[]) AS r (id, refusal) ON r.id = d.id
WHERE i.id = d.id AND i.priority = 0 AND i.done_at IS NULL;

-- name: outcome
-- about: Whether an input was judged, and what it was told.
SELECT done_at IS NOT NULL AS done, coalesce(refusal, '') AS refusal FROM inbox WHERE id = $1;

-- name: quarantine
-- about: Copy an input that cannot be judged to where people look for such things.
INSERT INTO quarantine (source, key, raw, why)
SELECT 'inbox', stream, body, $2 FROM inbox WHERE id = $1 AND done_at IS NULL;

-- name: prune
-- about: Forget the answers that nobody waits for any more.
DELETE FROM inbox WHERE done_at < now() - make_interval(secs => $1::double precision);
