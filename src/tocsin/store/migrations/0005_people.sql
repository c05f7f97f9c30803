-- kind: expand
-- Who may sign in, and what they did.
--
-- "folded" is the name as it is compared: no two people may look alike on a timeline.
CREATE TABLE users (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    folded text COLLATE "C" NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('viewer', 'responder', 'lead', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT '',
    seen_at timestamptz,
    disabled_at timestamptz
);

-- A session belongs to a user, whose role of the moment says what it may. Those from before there
-- were users belong to nobody and are over; what an older process reads of new ones grants nothing.
ALTER TABLE sessions ADD COLUMN user_id text COLLATE "C" REFERENCES users ON DELETE CASCADE;
ALTER TABLE sessions ADD COLUMN started_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sessions ADD COLUMN seen_at timestamptz;
ALTER TABLE sessions ADD COLUMN browser text NOT NULL DEFAULT '';
CREATE INDEX sessions_by_user ON sessions (user_id);

-- A link without a user is the console's: whoever opens it says who they are.
ALTER TABLE sign_in_links ADD COLUMN user_id text COLLATE "C" REFERENCES users ON DELETE CASCADE;

-- "user_id" is the person who made the token: it never does more than they may, sending alerts
-- aside. A revoked one stays as a row, so that no start grants it anew from the file it is kept in.
ALTER TABLE grants ADD COLUMN granted_by text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN user_id text COLLATE "C" REFERENCES users ON DELETE CASCADE;
ALTER TABLE grants ADD COLUMN kept_in text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN expires_at timestamptz;
ALTER TABLE grants ADD COLUMN seen_at timestamptz;
ALTER TABLE grants ADD COLUMN revoked_at timestamptz;
ALTER TABLE grants ADD COLUMN revoked_by text NOT NULL DEFAULT '';

-- What people and programs asked for. Written before it is done; the outcome follows.
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
CREATE INDEX audit_of_the_server ON audit (id) WHERE kind = 'server';
