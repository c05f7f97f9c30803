-- kind: expand
-- The spine: what reached us, what we judged, what must happen, and the views of it.
--
-- "C" is the collation of every key: the order is that of the bytes, on every machine, and a later
-- change of the system's locale cannot break an index.

-- What reached us and was not judged yet. Humans (priority 0) go first.
CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    refusal text
);
CREATE INDEX inbox_waiting ON inbox (stream, priority, id) WHERE done_at IS NULL;
CREATE INDEX inbox_done ON inbox (done_at) WHERE done_at IS NOT NULL;

-- One row per stream: its lock, the number of its last event, its state as of then.
CREATE TABLE streams (
    stream text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL DEFAULT 0,
    state bytea
);

-- What we judged to be so. Rows are added, and pruned when they are old; never changed.
CREATE TABLE journal (
    stream text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    revision text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (stream, seq)
);
CREATE FUNCTION journal_refuses_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The journal is append-only.';
END;
$$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses_changes();

CREATE SEQUENCE incident_numbers;
CREATE TABLE incidents (
    id text COLLATE "C" PRIMARY KEY,
    title text NOT NULL,
    service text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    rank integer NOT NULL,
    phase text COLLATE "C" NOT NULL,
    is_open boolean NOT NULL,
    opened_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    state bytea NOT NULL
);
CREATE INDEX incidents_open ON incidents (rank, opened_at DESC) WHERE is_open;
CREATE INDEX incidents_by_age ON incidents (opened_at DESC);
CREATE INDEX incidents_by_service ON incidents (service);

-- Alerts are rows, not one big state: a desk can have a hundred thousand of them.
CREATE TABLE alerts (
    fingerprint text COLLATE "C" PRIMARY KEY,
    service text COLLATE "C" NOT NULL,
    incident text COLLATE "C",
    firing boolean NOT NULL,
    stale boolean NOT NULL,
    ends_at timestamptz,
    record bytea NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX alerts_expiring ON alerts (ends_at) WHERE firing AND NOT stale;
CREATE INDEX alerts_firing ON alerts (service) WHERE firing;
CREATE INDEX alerts_by_incident ON alerts (incident) WHERE incident IS NOT NULL;

-- "seen" is how the desks last saw the silence: pending, active or expired.
CREATE TABLE silences (
    id text COLLATE "C" PRIMARY KEY,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    seen text NOT NULL DEFAULT 'pending',
    silence bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX silences_by_end ON silences (ends_at);
CREATE INDEX silences_to_turn ON silences (starts_at) WHERE seen <> 'expired';

-- What must happen, and when.
CREATE TABLE timers (
    stream text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (stream, name)
);
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE deliveries (
    id text COLLATE "C" PRIMARY KEY,
    incident text COLLATE "C" NOT NULL,
    kind text NOT NULL CHECK (kind IN ('page', 'notice')),
    recipient text NOT NULL,
    contact text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    detail text NOT NULL DEFAULT '',
    due_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    effect bytea NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX deliveries_pending ON deliveries (due_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_incident ON deliveries (incident, number DESC);
CREATE UNIQUE INDEX deliveries_by_number ON deliveries (number DESC);

-- Every revision that an incident was ever opened under.
CREATE TABLE runbooks (
    revision text COLLATE "C" PRIMARY KEY,
    documents bytea NOT NULL,
    policy bytea NOT NULL,
    first_seen_at timestamptz NOT NULL
);

-- What could not be read or judged, with its bytes, for a person to look at.
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    key text NOT NULL,
    raw bytea NOT NULL,
    why text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);

-- Only hashes of secrets are here, except for the one that signs, which never leaves the server.
CREATE TABLE grants (
    hash bytea PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    scopes text[] NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sign_in_links (
    hash bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE TABLE sessions (
    hash bytea PRIMARY KEY,
    name text NOT NULL,
    scopes text[] NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE server_secrets (
    name text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- Which version of the job library made its tables.
CREATE TABLE installed (
    component text COLLATE "C" PRIMARY KEY,
    version text NOT NULL
);
