-- name: lock
-- about: One change of who may come in at a time: two that each spare the last admin spare none.
LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;

-- name: add
-- about: A user, unless the id or the name is taken.
INSERT INTO users (id, name, folded, role, created_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: clashes
-- about: Users whose id or name reads like one of these.
SELECT id FROM users WHERE folded = ANY($1::text[]) OR id = ANY($1::text[]);

-- name: get
-- about: One user by id.
SELECT id, name, role, created_at, created_by, seen_at, disabled_at FROM users WHERE id = $1;

-- name: named
-- about: One user by the name as it is compared.
SELECT id, name, role, created_at, created_by, seen_at, disabled_at FROM users WHERE folded = $1;

-- name: all
-- about: Every user: those who may come in first, by name.
SELECT id, name, role, created_at, created_by, seen_at, disabled_at FROM users
ORDER BY disabled_at IS NOT NULL, folded, id;

-- name: set_role
-- about: What somebody is from now on.
UPDATE users SET role = $2 WHERE id = $1;

-- name: disable
-- about: Keep somebody out; when that began stays.
UPDATE users SET disabled_at = coalesce(disabled_at, now()) WHERE id = $1;

-- name: enable
-- about: Let somebody in again.
UPDATE users SET disabled_at = NULL WHERE id = $1;

-- name: admin_is_left
-- about: Whether somebody but this user and this token may do everything: an admin, or a token without an end.
SELECT EXISTS (
    SELECT FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1
) OR EXISTS (
    SELECT FROM grants g LEFT JOIN users u ON u.id = g.user_id
    WHERE 'admin' = ANY(g.scopes) AND g.revoked_at IS NULL AND g.expires_at IS NULL
    AND substring(g.hash FOR 8) <> $2
    AND (g.user_id IS NULL OR (u.role = 'admin' AND u.disabled_at IS NULL AND u.id <> $1))
);
