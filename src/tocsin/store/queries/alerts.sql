-- name: load
-- about: The alerts of these fingerprints.
SELECT record, ends_at FROM alerts WHERE fingerprint = ANY($1::text[]);

-- name: put
-- about: Write alerts as their desk now sees them.
INSERT INTO alerts (fingerprint, service, incident, firing, stale, ends_at, record, updated_at)
SELECT a.fingerprint, $1, a.incident, a.firing, a.stale, a.ends_at, a.record, $2
FROM unnest($3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::timestamptz[], $8::bytea[])
    AS a (fingerprint, incident, firing, stale, ends_at, record)
ON CONFLICT (fingerprint) DO UPDATE SET
    service = excluded.service, incident = excluded.incident, firing = excluded.firing,
    stale = excluded.stale, ends_at = excluded.ends_at, record = excluded.record,
    updated_at = excluded.updated_at;

-- name: of
-- about: Every alert on the desk of a service.
SELECT fingerprint, incident, firing, stale, record, ends_at FROM alerts
WHERE service = $1
ORDER BY fingerprint;

-- name: forget
-- about: Take alerts off the desk of a service.
DELETE FROM alerts WHERE service = $1 AND fingerprint = ANY($2::text[]);

-- name: touch
-- about: Unchanged repeats only move the end. Of those that moved nothing, say how the alert stands.
-- "news": it fires again, and its desk must hear. "over": it ended after this repeat had come.
-- "early": its desk has not judged it yet, or is just doing so.
WITH told AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
        AS t (fingerprint, stream, ends_at, received_at)
), moved AS (
    UPDATE alerts a
    SET ends_at = t.ends_at, updated_at = now()
    FROM told t
    WHERE a.fingerprint = t.fingerprint AND a.firing AND NOT a.stale
    RETURNING a.fingerprint
)
SELECT t.fingerprint, CASE
    WHEN a.fingerprint IS NULL THEN
        CASE WHEN EXISTS (
            SELECT FROM inbox i WHERE i.done_at IS NULL AND i.stream = t.stream
        ) THEN 'early' ELSE 'news' END
    WHEN a.stale THEN 'news'
    WHEN a.firing THEN 'early'
    WHEN a.updated_at < t.received_at THEN 'news'
    ELSE 'over'
    END AS verdict
FROM told t
LEFT JOIN alerts a ON a.fingerprint = t.fingerprint
WHERE t.fingerprint NOT IN (SELECT fingerprint FROM moved);

-- name: lapsed
-- about: Firing alerts that were not sent again in time, the longest overdue first.
-- Their ends are by their senders' clocks, which may differ: what came lately has not lapsed.
SELECT service, record, ends_at FROM alerts
WHERE firing AND NOT stale AND ends_at < now() - make_interval(secs => $1::double precision)
    AND updated_at < now() - make_interval(secs => $1::double precision)
ORDER BY ends_at
LIMIT $2;

-- name: firing
-- about: A portion of the firing alerts, after a key.
SELECT fingerprint, record, service, ends_at, updated_at FROM alerts
WHERE firing AND fingerprint > $1
ORDER BY fingerprint
LIMIT $2;

-- name: find
-- about: Alerts that fit, by service. An empty condition fits all.
SELECT record, service, ends_at, updated_at FROM alerts
WHERE (firing OR NOT $1::boolean) AND ($2 = '' OR incident = $2)
ORDER BY service, fingerprint
LIMIT $3;
