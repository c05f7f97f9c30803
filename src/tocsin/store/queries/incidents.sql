-- name: next_number
-- about: The number of the next incident. A rolled back one leaves a hole, never a twin.
SELECT nextval('incident_numbers');

-- name: put
-- about: The view of an incident, written in the transaction that judged it.
INSERT INTO incidents (id, title, service, severity, rank, phase, is_open, opened_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, service = excluded.service, severity = excluded.severity,
    rank = excluded.rank, phase = excluded.phase, is_open = excluded.is_open,
    opened_at = excluded.opened_at, state = excluded.state, updated_at = now();

-- name: restore
-- about: The view of an incident as it would be had it never been lost: changed when its events say.
INSERT INTO incidents
    (id, title, service, severity, rank, phase, is_open, opened_at, state, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    title = excluded.title, service = excluded.service, severity = excluded.severity,
    rank = excluded.rank, phase = excluded.phase, is_open = excluded.is_open,
    opened_at = excluded.opened_at, state = excluded.state, updated_at = excluded.updated_at;

-- name: view
-- about: One incident, column by column.
SELECT id, title, service, severity, rank, phase, is_open, opened_at, state
FROM incidents WHERE id = $1;

-- name: get
-- about: One incident.
SELECT state FROM incidents WHERE id = $1;

-- name: last_of
-- about: The incident of a service that was opened last.
SELECT id FROM incidents WHERE service = $1 ORDER BY opened_at DESC NULLS LAST LIMIT 1;

-- name: find
-- about: Incidents that fit: the open ones first, the worst first, then the newest. An empty condition fits all.
SELECT state FROM incidents
WHERE (cardinality($1::text[]) = 0 OR phase = ANY($1))
    AND ($2 = '' OR severity = $2)
    AND ($3 = '' OR service = $3)
    AND (is_open OR NOT $4::boolean)
ORDER BY is_open DESC, rank, opened_at DESC NULLS LAST, id
LIMIT $5;

-- name: ended
-- about: What is over and changed since an instant, the last changed first.
SELECT state FROM incidents
WHERE NOT is_open AND updated_at >= $1
ORDER BY updated_at DESC, id
LIMIT $2;
