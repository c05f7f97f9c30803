-- name: note
-- about: Note how contacts did. What is known already, or what another transaction is noting, is
-- left alone: a storm of pages to one contact must not queue for its row.
WITH given AS (
    SELECT DISTINCT ON (contact) contact, delivered, detail
    FROM unnest($1::text[], $2::boolean[], $3::text[]) WITH ORDINALITY
        AS g (contact, delivered, detail, place)
    ORDER BY contact, place DESC
), held AS (
    SELECT c.contact, g.delivered, g.detail
    FROM contacts AS c JOIN given AS g USING (contact)
    WHERE (g.delivered AND (c.delivered_at IS NULL OR c.delivered_at < now() - interval '10 s'
            OR c.delivered_at <= c.failed_at))
        OR (NOT g.delivered AND (c.failed_at IS NULL OR c.failed_at < now() - interval '10 s'
            OR c.failed_at <= c.delivered_at))
    ORDER BY c.contact
    FOR UPDATE OF c SKIP LOCKED
), known AS (
    UPDATE contacts AS c
    SET delivered_at = CASE WHEN h.delivered THEN now() ELSE c.delivered_at END,
        failed_at = CASE WHEN h.delivered THEN c.failed_at ELSE now() END,
        detail = h.detail
    FROM held AS h WHERE c.contact = h.contact
)
INSERT INTO contacts (contact, delivered_at, failed_at, detail)
SELECT contact, CASE WHEN delivered THEN now() END, CASE WHEN delivered THEN NULL ELSE now() END, detail
FROM given AS g
WHERE NOT EXISTS (SELECT FROM contacts AS c WHERE c.contact = g.contact)
ORDER BY contact
ON CONFLICT (contact) DO NOTHING;

-- name: all
-- about: How every contact that was ever used did last.
SELECT contact, delivered_at, failed_at, detail FROM contacts ORDER BY contact;

-- name: trials
-- about: How test messages did, by their ids; they are the deliveries that belong to no incident.
SELECT id, contact, state, attempts, detail, created_at, updated_at
FROM deliveries WHERE incident = '' AND id = ANY($1::text[]) ORDER BY number;

-- name: alone
-- about: One asks for test messages at a time.
SELECT pg_advisory_xact_lock(hashtextextended('tocsin contact tests', 0));

-- name: on_trial
-- about: Contacts to which a test message is on its way, or went five times within ten minutes.
SELECT contact FROM deliveries
WHERE incident = '' AND (state = 'pending' OR created_at > now() - interval '10 min')
GROUP BY contact
HAVING bool_or(state = 'pending') OR count(*) >= 5;
