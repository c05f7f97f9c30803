-- name: add
-- about: Ask for deliveries. The id is the idempotency key: asked for again, nothing happens.
INSERT INTO deliveries (id, incident, kind, recipient, contact, effect)
SELECT d.id, $1, d.kind, d.recipient, d.contact, d.effect
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) WITH ORDINALITY
    AS d (id, kind, recipient, contact, effect, place)
ORDER BY d.place
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: lease
-- about: Take what is due and nobody is at, a few from every channel, pages before notices. Nobody
-- is at what was never taken, whose lease is over, or whose holder shows no life. One step of the
-- index per channel, however long the queue of a dead one is.
WITH RECURSIVE lanes (lane) AS (
    (SELECT lane FROM deliveries WHERE state = 'pending' ORDER BY lane LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.lane FROM deliveries d
        WHERE d.state = 'pending' AND d.lane > l.lane
        ORDER BY d.lane LIMIT 1
    )
    FROM lanes l
    WHERE l.lane IS NOT NULL
), room (lane, free) AS (
    SELECT l.lane, coalesce(f.free, $3)
    FROM lanes l
    LEFT JOIN unnest($4::text[], $5::integer[]) AS f (lane, free) ON f.lane = l.lane
    WHERE l.lane IS NOT NULL
), picked AS (
    SELECT p.id
    FROM room r
    CROSS JOIN LATERAL (
        SELECT d.id FROM deliveries d
        WHERE d.state = 'pending' AND d.lane = r.lane AND d.due_at <= now()
            AND (
                d.leased_until IS NULL
                OR d.leased_until <= now()
                OR (d.leased_by IS NOT NULL AND d.leased_by NOT IN (
                    SELECT p.id FROM processes p
                    WHERE p.seen_at > now() - make_interval(secs => $6::double precision)
                ))
            )
            AND d.id <> ALL($7::text[])
        ORDER BY d.kind DESC, d.due_at
        LIMIT r.free
        FOR UPDATE SKIP LOCKED
    ) p
)
UPDATE deliveries d
SET leased_until = now() + make_interval(secs => $2::double precision),
    leased_by = $1,
    attempts = d.attempts + 1,
    updated_at = now()
FROM picked
WHERE d.id = picked.id
RETURNING d.id, d.incident, d.lane, d.effect, d.attempts, d.created_at;

-- name: renew
-- about: Whoever still holds these keeps them a while longer.
WITH mine AS (
    SELECT d.id FROM deliveries d
    JOIN unnest($3::text[], $4::integer[]) AS m (id, attempts)
        ON m.id = d.id AND m.attempts = d.attempts
    WHERE d.state = 'pending'
    ORDER BY d.id
    FOR UPDATE OF d
)
UPDATE deliveries d
SET leased_until = now() + make_interval(secs => $2::double precision), leased_by = $1
FROM mine
WHERE d.id = mine.id
RETURNING d.id;

-- name: settle
-- about: They were taken, or given up, by whoever made this attempt; a later attempt is not touched.
WITH mine AS (
    SELECT d.id, m.state, m.detail FROM deliveries d
    JOIN unnest($1::text[], $2::integer[], $3::text[], $4::text[]) AS m (id, attempts, state, detail)
        ON m.id = d.id AND m.attempts = d.attempts
    WHERE d.state = 'pending'
    ORDER BY d.id
    FOR UPDATE OF d
)
UPDATE deliveries d
SET state = mine.state, detail = mine.detail,
    leased_until = NULL, leased_by = NULL, updated_at = now()
FROM mine
WHERE d.id = mine.id
RETURNING d.id;

-- name: retry
-- about: Try again after a while.
WITH mine AS (
    SELECT d.id, m.after_s, m.detail FROM deliveries d
    JOIN unnest($1::text[], $2::integer[], $3::double precision[], $4::text[])
        AS m (id, attempts, after_s, detail)
        ON m.id = d.id AND m.attempts = d.attempts
    WHERE d.state = 'pending'
    ORDER BY d.id
    FOR UPDATE OF d
)
UPDATE deliveries d
SET due_at = now() + make_interval(secs => mine.after_s), detail = mine.detail,
    leased_until = NULL, leased_by = NULL, updated_at = now()
FROM mine
WHERE d.id = mine.id
RETURNING d.id, mine.after_s;

-- name: release
-- about: Let others have these at once. An attempt that was not begun does not count.
WITH mine AS (
    SELECT d.id, m.begun FROM deliveries d
    JOIN unnest($1::text[], $2::integer[], $3::boolean[]) AS m (id, attempts, begun)
        ON m.id = d.id AND m.attempts = d.attempts
    WHERE d.state = 'pending'
    ORDER BY d.id
    FOR UPDATE OF d
)
UPDATE deliveries d
SET leased_until = NULL, leased_by = NULL, updated_at = now(),
    attempts = CASE WHEN mine.begun THEN d.attempts ELSE d.attempts - 1 END
FROM mine
WHERE d.id = mine.id
RETURNING d.id;

-- name: find
-- about: Deliveries of one incident or of all, newest first.
SELECT id, incident, kind, recipient, contact, state, attempts, detail, created_at, updated_at
FROM deliveries
WHERE $1 = '' OR incident = $1
ORDER BY number DESC
LIMIT $2;
