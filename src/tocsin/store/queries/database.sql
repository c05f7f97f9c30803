-- name: now
-- about: The clock of the database, at this statement and not at the start of the transaction.
SELECT clock_timestamp();

-- name: limit
-- about: The settings of this transaction, where the session cannot be given them.
SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true),
    set_config('idle_in_transaction_session_timeout', $3, true),
    set_config('enable_bitmapscan', 'off', true);

-- name: identity
-- about: What only two ways to one and the same database have in common.
SELECT (SELECT oid::text FROM pg_database WHERE datname = current_database())
    || ' ' || (SELECT min(applied_at)::text FROM migrations);

-- name: facts
-- about: What the server says of itself, for the doctor.
SELECT current_setting('server_version') AS version,
    current_setting('max_connections')::integer AS connections_max,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS is_durable,
    current_setting('synchronous_commit') AS synchronous_commit;
