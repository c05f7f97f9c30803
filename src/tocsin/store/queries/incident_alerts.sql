-- name: load
-- about: Alerts of one incident, by their fingerprints.
SELECT record FROM incident_alerts WHERE incident = $1 AND fingerprint = ANY($2::text[]);

-- name: put
-- about: Write alerts as their incident now sees them.
INSERT INTO incident_alerts (incident, fingerprint, firing, muted_by, record)
SELECT $1, a.fingerprint, a.firing, a.muted_by, a.record
FROM unnest($2::text[], $3::boolean[], $4::text[], $5::bytea[]) WITH ORDINALITY
    AS a (fingerprint, firing, muted_by, record, place)
ORDER BY a.place
ON CONFLICT (incident, fingerprint) DO UPDATE SET
    firing = excluded.firing, muted_by = excluded.muted_by, record = excluded.record;

-- name: find
-- about: The first alerts of one incident: what fires in front, then in the order they joined.
SELECT record FROM incident_alerts
WHERE incident = $1
ORDER BY firing DESC, number
LIMIT $2;

-- name: find_each
-- about: The same of many incidents at once.
SELECT i.incident, a.record
FROM unnest($1::text[]) AS i (incident)
CROSS JOIN LATERAL (
    SELECT record, firing, number FROM incident_alerts
    WHERE incident = i.incident
    ORDER BY firing DESC, number
    LIMIT $2
) a
ORDER BY i.incident, a.firing DESC, a.number;

-- name: all
-- about: Every alert of one incident, in the order they joined.
SELECT fingerprint, firing, muted_by, record FROM incident_alerts
WHERE incident = $1
ORDER BY number;

-- name: forget
-- about: Take every alert of one incident off.
DELETE FROM incident_alerts WHERE incident = $1;

-- name: muting
-- about: The silences that mute alerts of an incident that fire.
SELECT DISTINCT muted_by FROM incident_alerts
WHERE incident = $1 AND firing AND muted_by IS NOT NULL;
