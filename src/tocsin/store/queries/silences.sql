-- name: put
-- about: Write a silence, new or changed; the desks have not seen it like this yet.
INSERT INTO silences (id, starts_at, ends_at, silence) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET
    starts_at = excluded.starts_at, ends_at = excluded.ends_at, silence = excluded.silence,
    seen = 'changed', updated_at = now();

-- name: get
-- about: One silence.
SELECT silence, updated_at FROM silences WHERE id = $1;

-- name: get_to_change
-- about: One silence, held against others who change it.
SELECT silence, updated_at FROM silences WHERE id = $1 FOR UPDATE;

-- name: find
-- about: All silences, those that end last first.
SELECT silence, updated_at FROM silences ORDER BY ends_at DESC, id;

-- name: active
-- about: The silences in force at an instant. One that has ended rises from no clock that goes back.
SELECT silence FROM silences
WHERE starts_at <= $1 AND ends_at > $1 AND seen <> 'expired'
ORDER BY id;

-- name: hold
-- about: Read silences while none of them turns. Many can.
SELECT pg_advisory_xact_lock_shared(hashtextextended('tocsin silences', 0));

-- name: begin_turning
-- about: Wait for those who hold silences; who comes later waits for us.
SELECT pg_advisory_xact_lock(hashtextextended('tocsin silences', 0));

-- name: has_turned
-- about: Whether any silence is not as the desks last saw it.
SELECT EXISTS (
    SELECT FROM silences
    WHERE seen <> 'expired' AND seen <> CASE
        WHEN ends_at <= $1 THEN 'expired'
        WHEN starts_at <= $1 THEN 'active'
        ELSE 'pending'
    END
);

-- name: turned
-- about: Silences that are not as the desks last saw them. Looking marks them as seen.
UPDATE silences s
SET seen = n.phase
FROM (
    SELECT id, CASE
        WHEN ends_at <= $1 THEN 'expired'
        WHEN starts_at <= $1 THEN 'active'
        ELSE 'pending'
    END AS phase
    FROM silences
    WHERE seen <> 'expired'
) n
WHERE s.id = n.id AND s.seen <> n.phase
RETURNING s.id;
