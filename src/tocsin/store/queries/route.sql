-- name: session
-- about: Which session of the server answers here, to compare with the one that was promised.
SELECT pg_backend_pid();

-- name: only_reads
-- about: Whether this server takes no writes: a standby, or one that was told to.
SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean;

-- name: call
-- about: Say something on a channel, to see whether it is heard.
SELECT pg_notify($1, $2);
