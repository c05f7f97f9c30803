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
-- about: Take a delivery that is due, unless it is settled or somebody is at it. Only one can.
UPDATE deliveries
SET leased_until = now() + make_interval(secs => $2::double precision),
    attempts = attempts + 1,
    updated_at = now()
WHERE id = $1 AND state = 'pending' AND due_at <= now()
    AND (leased_until IS NULL OR leased_until <= now())
RETURNING id, incident, effect, attempts, state, created_at;

-- name: settle
-- about: It was taken, or it was given up. What is settled stays so.
UPDATE deliveries
SET state = $2, detail = $3, leased_until = NULL, updated_at = now()
WHERE id = $1 AND state = 'pending';

-- name: retry
-- about: Try again after a while.
UPDATE deliveries
SET due_at = now() + make_interval(secs => $2::double precision), detail = $3,
    leased_until = NULL, updated_at = now()
WHERE id = $1 AND state = 'pending'
RETURNING id;

-- name: stranded
-- about: What is due and nobody is at: its job is lost, or its courier died.
SELECT id FROM deliveries
WHERE state = 'pending' AND due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
ORDER BY due_at
LIMIT $1;

-- name: find
-- about: Deliveries of one incident or of all, newest first.
SELECT id, incident, kind, recipient, contact, state, attempts, detail, created_at, updated_at
FROM deliveries
WHERE $1 = '' OR incident = $1
ORDER BY number DESC
LIMIT $2;
