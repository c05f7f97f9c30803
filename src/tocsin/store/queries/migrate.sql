-- name: lock
-- about: Wait until no other process migrates. Held until the transaction ends.
SELECT pg_advisory_xact_lock($1::bigint);

-- name: limit
-- about: How long to wait for a lock in this transaction, and how long it may be idle.
SELECT set_config('lock_timeout', $1, true),
    set_config('idle_in_transaction_session_timeout', $2, true),
    set_config('statement_timeout', '0', true);

-- name: holder
-- about: Who holds the lock, and for how many seconds that session has been at it.
SELECT activity.application_name AS name, activity.pid,
    extract(epoch FROM clock_timestamp() - coalesce(activity.xact_start, activity.state_change))::float8 AS for_s
FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
    AND (lock.classid::bigint << 32 | lock.objid::bigint) = $1::bigint;

-- name: has_history
-- about: Whether there is a history that says of each step what kind it was.
SELECT count(*) = 1 FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = 'migrations' AND column_name = 'kind';

-- name: make_history
-- about: The table that remembers which steps were applied; it comes before all steps.
CREATE TABLE IF NOT EXISTS migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: tell_kinds
-- about: The history says of each step whether an older Tocsin can live with it.
ALTER TABLE migrations ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'expand'
    CHECK (kind IN ('expand', 'contract'));

-- name: history
-- about: The steps that were applied.
SELECT number, name, kind FROM migrations ORDER BY number;

-- name: remember
-- about: Note that a step was applied.
INSERT INTO migrations (number, name, kind) VALUES ($1, $2, $3);

-- name: keep_others_out
-- about: Let no process enter, or say that it lives, until this transaction ends.
LOCK TABLE processes IN SHARE ROW EXCLUSIVE MODE;

-- name: older_processes
-- about: Live processes that know less than a step; one that is silent for a minute is gone.
SELECT id, version, step FROM processes
WHERE step < $1 AND seen_at > now() - interval '60 seconds' ORDER BY id;

-- name: newest_contract
-- about: The newest step that took something away.
SELECT number, name FROM migrations WHERE kind = 'contract' ORDER BY number DESC LIMIT 1;
