-- name: lock
-- about: Wait until no other process migrates. Held by the session, not by a transaction.
SELECT pg_advisory_lock($1::bigint);

-- name: unlock
-- about: Let the next process migrate.
SELECT pg_advisory_unlock($1::bigint);

-- name: keep_history
-- about: The table that remembers which steps were applied; it comes before all steps.
CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: history
-- about: The steps that were applied.
SELECT number FROM migrations ORDER BY number;

-- name: remember
-- about: Note that a step was applied.
INSERT INTO migrations (number, name) VALUES ($1, $2);
