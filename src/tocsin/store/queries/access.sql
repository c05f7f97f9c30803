-- name: grant
-- about: Let a secret be used under a name. Other secrets of that name stay: every replica has its own.
INSERT INTO grants (name, hash, scopes) VALUES ($1, $2, $3)
ON CONFLICT (hash) DO UPDATE SET name = excluded.name, scopes = excluded.scopes;

-- name: holder
-- about: Who holds a secret.
SELECT name, scopes FROM grants WHERE hash = $1;

-- name: is_taken
-- about: Whether a secret goes by a name, in any case of its letters.
SELECT EXISTS (SELECT FROM grants WHERE lower(name) = lower($1));

-- name: offer_link
-- about: A link that signs in once.
INSERT INTO sign_in_links (hash, expires_at) VALUES ($1, $2)
ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at;

-- name: use_link
-- about: Use a link up, in time or not. Only one can.
DELETE FROM sign_in_links WHERE hash = $1 RETURNING expires_at > now() AS in_time;

-- name: start_session
-- about: A browser that is signed in.
INSERT INTO sessions (hash, name, scopes, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (hash) DO UPDATE SET
    name = excluded.name, scopes = excluded.scopes, expires_at = excluded.expires_at;

-- name: session
-- about: Whose session this is, while it lasts.
SELECT name, scopes FROM sessions WHERE hash = $1 AND expires_at > now();

-- name: end_session
-- about: Sign out; sessions that are over by themselves go too.
DELETE FROM sessions WHERE hash = $1 OR expires_at <= now();

-- name: offer_server_secret
-- about: The first one stays.
INSERT INTO server_secrets (name, value) VALUES ('signing', $1) ON CONFLICT (name) DO NOTHING;

-- name: server_secret
-- about: The one that stayed.
SELECT value FROM server_secrets WHERE name = 'signing';
