-- name: grant
-- about: Let a secret be used under a name. Other secrets of that name stay: every replica has its own.
INSERT INTO grants (name, hash, scopes, granted_by, user_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (hash) DO UPDATE SET name = excluded.name, scopes = excluded.scopes
WHERE grants.revoked_at IS NULL;

-- name: keep
-- about: Let the secret of a file be used, unless it was revoked. True if it may be used.
INSERT INTO grants (name, hash, scopes, kept_in) VALUES ($1, $2, $3, $4)
ON CONFLICT (hash) DO UPDATE SET
    name = CASE WHEN grants.revoked_at IS NULL THEN excluded.name ELSE grants.name END,
    scopes = CASE WHEN grants.revoked_at IS NULL THEN excluded.scopes ELSE grants.scopes END,
    kept_in = excluded.kept_in
RETURNING revoked_at IS NULL;

-- name: holder
-- about: Who holds a secret, revoked and expired ones too, with what its maker is now.
SELECT g.hash, g.name, g.scopes, g.granted_at, g.granted_by, g.kept_in, g.expires_at, g.seen_at,
    g.revoked_at, g.user_id, u.role AS maker_role, u.disabled_at AS maker_disabled_at,
    now() AS read_at
FROM grants g LEFT JOIN users u ON u.id = g.user_id
WHERE g.hash = $1;

-- name: tokens
-- about: All tokens that were not revoked, also expired ones, by name.
SELECT g.hash, g.name, g.scopes, g.granted_at, g.granted_by, g.kept_in, g.expires_at, g.seen_at,
    g.revoked_at, g.user_id, u.role AS maker_role, u.disabled_at AS maker_disabled_at,
    now() AS read_at
FROM grants g LEFT JOIN users u ON u.id = g.user_id
WHERE g.revoked_at IS NULL
ORDER BY lower(g.name), g.granted_at, g.hash;

-- name: revoke
-- about: End a token for good, by its number; the row stays.
UPDATE grants SET revoked_at = now(), revoked_by = $2
WHERE substring(hash FOR 8) = $1 AND revoked_at IS NULL;

-- name: names
-- about: The names of the tokens that can be used.
SELECT DISTINCT name FROM grants
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now());

-- name: offer_link
-- about: A link that signs in once: as that user, or without one as whoever its opener is.
INSERT INTO sign_in_links (hash, expires_at, user_id) VALUES ($1, $2, $3)
ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at, user_id = excluded.user_id;

-- name: see_link
-- about: For whom a link is, in time and not used yet; its user must not be disabled.
SELECT l.user_id, u.name FROM sign_in_links l LEFT JOIN users u ON u.id = l.user_id
WHERE l.hash = $1 AND l.expires_at > now() AND u.disabled_at IS NULL;

-- name: use_link
-- about: Use a link up, in time or not. Only one can.
DELETE FROM sign_in_links WHERE hash = $1 RETURNING expires_at > now() AS in_time;

-- name: withdraw_links
-- about: The links that a user could come in by: those made for them, and the console's.
DELETE FROM sign_in_links WHERE user_id = $1 OR user_id IS NULL;

-- name: start_session
-- about: A browser that is signed in. What it may is its user's role, and never in this row.
WITH here AS (UPDATE users SET seen_at = now() WHERE id = $2)
INSERT INTO sessions (hash, name, scopes, user_id, expires_at, browser, seen_at)
VALUES ($1, '', '{}', $2, $3, $4, now());

-- name: session
-- about: Whose session this is, while it lasts and its user may come in.
SELECT s.hash, s.started_at, s.expires_at, u.id, u.name, u.role
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.hash = $1 AND s.expires_at > now() AND u.disabled_at IS NULL;

-- name: sessions
-- about: The sessions of a user that are not over, the one used last first.
SELECT hash, started_at, expires_at, seen_at, browser FROM sessions
WHERE user_id = $1 AND expires_at > now()
ORDER BY seen_at DESC NULLS LAST, started_at DESC, hash;

-- name: end_session
-- about: Sign out.
DELETE FROM sessions WHERE hash = $1;

-- name: end_session_of
-- about: End one session of a user by its number.
DELETE FROM sessions WHERE user_id = $1 AND substring(hash FOR 8) = $2;

-- name: end_sessions
-- about: Sign a user out everywhere.
DELETE FROM sessions WHERE user_id = $1;

-- name: seen_grants
-- about: When tokens were used last; never back in time.
UPDATE grants g SET seen_at = s.at
FROM unnest($1::bytea[], $2::timestamptz[]) AS s (hash, at)
WHERE g.hash = s.hash AND (g.seen_at IS NULL OR g.seen_at < s.at);

-- name: seen_sessions
-- about: When sessions were used last; never back in time.
UPDATE sessions t SET seen_at = s.at
FROM unnest($1::bytea[], $2::timestamptz[]) AS s (hash, at)
WHERE t.hash = s.hash AND (t.seen_at IS NULL OR t.seen_at < s.at);

-- name: seen_users
-- about: When people were here last, from their sessions.
UPDATE users u SET seen_at = s.at
FROM (SELECT user_id, max(seen_at) AS at FROM sessions WHERE hash = ANY($1::bytea[]) GROUP BY user_id) s
WHERE u.id = s.user_id AND (u.seen_at IS NULL OR u.seen_at < s.at);

-- name: forget_over
-- about: Sessions and links that are over by themselves.
WITH over AS (DELETE FROM sessions WHERE expires_at <= now())
DELETE FROM sign_in_links WHERE expires_at <= now();

-- name: offer_server_secret
-- about: The first one stays.
INSERT INTO server_secrets (name, value) VALUES ('signing', $1) ON CONFLICT (name) DO NOTHING;

-- name: server_secret
-- about: The one that stayed.
SELECT value FROM server_secrets WHERE name = 'signing';
