-- name: over
-- about: The incidents that are over and did not change since an instant, the longest first.
SELECT id FROM incidents WHERE NOT is_open AND updated_at < $1 ORDER BY updated_at LIMIT $2;

-- name: is_over
-- about: Whether an incident is still over, none of its alerts fires that would end there one day,
-- and nothing waits to be judged that could reopen it.
SELECT EXISTS (SELECT FROM incidents WHERE id = $1 AND NOT is_open AND updated_at < $3)
    AND NOT EXISTS (SELECT FROM alerts WHERE incident = $1 AND firing)
    AND NOT EXISTS (SELECT FROM inbox WHERE done_at IS NULL AND stream = $2);

-- name: drop_journal
-- about: Delete the first events of a stream.
DELETE FROM journal WHERE stream = $1 AND seq IN (
    SELECT seq FROM journal WHERE stream = $1 ORDER BY seq LIMIT $2
);

-- name: drop_events
-- about: Prune the first events of a stream, those of before an instant.
DELETE FROM journal WHERE stream = $1 AND seq IN (
    SELECT seq FROM journal WHERE stream = $1 AND at < $2 ORDER BY seq LIMIT $3
);

-- name: drop_alerts
-- about: Take alerts of an incident off.
DELETE FROM incident_alerts WHERE incident = $1 AND fingerprint IN (
    SELECT fingerprint FROM incident_alerts WHERE incident = $1 LIMIT $2
);

-- name: drop_deliveries
-- about: Take settled deliveries of an incident off.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE incident = $1 AND state <> 'pending' LIMIT $2
);

-- name: with_deliveries
-- about: Incidents that are over since before an instant and still have settled deliveries.
SELECT i.id FROM incidents i
WHERE NOT i.is_open AND i.updated_at < $1 AND EXISTS (
    SELECT FROM deliveries d WHERE d.incident = i.id AND d.state <> 'pending'
)
ORDER BY i.updated_at
LIMIT $2;

-- name: drop_rest
-- about: What is left of an incident when its events are gone.
WITH stream AS (
    DELETE FROM streams WHERE stream = $2
), timer AS (
    DELETE FROM timers WHERE stream = $2
), answer AS (
    DELETE FROM inbox WHERE stream = $2 AND done_at IS NOT NULL
), delivery AS (
    DELETE FROM deliveries WHERE incident = $1
)
DELETE FROM incidents WHERE id = $1;

-- name: desks
-- about: The next desks by name, and when their first event was judged.
SELECT s.stream, first.at
FROM (
    SELECT stream FROM streams
    WHERE stream > $1 AND stream >= 'desk/' AND stream < 'desk0'
    ORDER BY stream
    LIMIT $2
) s
LEFT JOIN LATERAL (
    SELECT at FROM journal WHERE stream = s.stream ORDER BY seq LIMIT 1
) first ON true
ORDER BY s.stream;

-- name: drop_ended_alerts
-- about: Forget alerts that ended, or went stale, before an instant.
DELETE FROM alerts WHERE fingerprint IN (
    SELECT fingerprint FROM alerts
    WHERE (NOT firing OR stale) AND updated_at < $1
    ORDER BY updated_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
);

-- name: drop_silences
-- about: Forget silences that ended before an instant, and whose end the desks have seen.
DELETE FROM silences WHERE id IN (
    SELECT id FROM silences WHERE ends_at < $1 AND seen = 'expired' ORDER BY ends_at LIMIT $2
);

-- name: drop_tests
-- about: Take test messages off, which are of no incident.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries
    WHERE incident = '' AND state <> 'pending' AND updated_at < $1
    LIMIT $2
);

-- name: drop_quarantine
-- about: Throw away what was put aside before an instant.
DELETE FROM quarantine WHERE id IN (
    SELECT id FROM quarantine WHERE at < $1 ORDER BY id LIMIT $2
);
