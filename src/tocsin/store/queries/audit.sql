-- name: begin
-- about: What is about to be done.
INSERT INTO audit (actor, kind, address, action, target, detail) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id;

-- name: finish
-- about: How it ended, and what there is to say about it.
UPDATE audit SET status = $2, detail = CASE WHEN $3 = '' THEN detail ELSE $3 END WHERE id = $1;

-- name: add
-- about: What is done already, several at once.
INSERT INTO audit (at, actor, kind, address, action, target, detail, status)
SELECT * FROM unnest(
    $1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::integer[]
);

-- name: note
-- about: What the server itself did, unless that is what it did last: every replica says it.
INSERT INTO audit (actor, kind, action, target, status)
SELECT '', 'server', $1, $2, 200 WHERE $2 IS DISTINCT FROM (
    SELECT target FROM audit WHERE kind = 'server' AND action = $1 ORDER BY id DESC LIMIT 1
);

-- name: find
-- about: Newest first, before a number, since an instant, of these actors; empty filters nothing.
SELECT id, at, actor, kind, address, action, target, detail, status FROM audit
WHERE ($1::bigint IS NULL OR id < $1)
AND ($2::timestamptz IS NULL OR at >= $2)
AND (cardinality($3::text[]) = 0 OR lower(actor) = ANY($3::text[]))
ORDER BY id DESC LIMIT $4;

-- name: count
-- about: How much was done and how much was refused since then.
SELECT count(*) FILTER (WHERE action <> 'refused') AS done,
    count(*) FILTER (WHERE action = 'refused' AND status IS NOT NULL) AS refused,
    coalesce(bool_or(action = 'refused' AND status IS NULL), false) AS more
FROM audit WHERE at >= $1;

-- name: prune
-- about: Let go of what is older than that, at most so many at once.
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2);

-- name: sooner
-- about: The outcome need not outlive a crash: the act itself does.
SET LOCAL synchronous_commit = off;
