-- kind: expand
-- Who may sign in, and what they did.
CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('viewer', 'responder', 'lead', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT '',
    seen_at timestamptz,
    disabled_at timestamptz
);
CREATE UNIQUE INDEX users_by_name ON users (lower(name));

ALTER TABLE sessions ADD COLUMN user_id text COLLATE "C" REFERENCES users ON DELETE CASCADE;
ALTER TABLE sessions ADD COLUMN started_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sign_in_links ADD COLUMN user_id text COLLATE "C" REFERENCES users ON DELETE CASCADE;

ALTER TABLE grants ADD COLUMN granted_by text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN expires_at timestamptz;
ALTER TABLE grants ADD COLUMN seen_at timestamptz;

-- What people and their tokens asked for. Written before it is done; the outcome follows.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    kind text NOT NULL,
    address text NOT NULL DEFAULT '',
    action text NOT NULL,
    target text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    status integer
);
CREATE INDEX audit_by_time ON audit (at);
