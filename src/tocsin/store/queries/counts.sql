-- name: within
-- about: Give up rather than hold up a database that has more important things to do.
SET LOCAL statement_timeout = '2s';

-- name: standing
-- about: How much waits and stands now. One statement, so that it is one moment. Nothing is counted
-- past $1: beyond that it says "at least so many", and costs no more.
SELECT
    clock_timestamp() AS at,
    (SELECT coalesce(json_object_agg(p, json_build_array(n, age_s)), '{}') FROM (
        SELECT CASE WHEN priority = 0 THEN 'people' ELSE 'others' END AS p, count(*) AS n,
            extract(epoch FROM now() - min(received_at)) AS age_s
        FROM (SELECT priority, received_at FROM inbox WHERE done_at IS NULL LIMIT $1) AS w
        GROUP BY p) AS i) AS inputs,
    (SELECT coalesce(json_object_agg(sender, n), '{}') FROM (
        SELECT sender, count(*) AS n
        FROM (SELECT sender FROM inbox WHERE done_at IS NULL AND sender <> '' LIMIT $1) AS w
        GROUP BY sender ORDER BY n DESC LIMIT 5) AS b) AS busiest,
    (SELECT count(*) FROM (SELECT FROM timers WHERE due_at <= now() LIMIT $1) AS t) AS timers_due,
    (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0) FROM timers WHERE due_at <= now())
        AS timer_oldest_due_s,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'timers'::regclass)
        AS timers_about,
    (SELECT coalesce(json_object_agg(state, json_build_array(n, age_s)), '{}') FROM (
        SELECT CASE WHEN leased_until > now() THEN 'leased'
                WHEN due_at > now() THEN 'waiting'
                WHEN leased_until IS NOT NULL OR due_at < now() - interval '5 s' THEN 'stranded'
                ELSE 'due' END AS state,
            count(*) AS n, extract(epoch FROM now() - min(due_at)) AS age_s
        FROM (SELECT due_at, leased_until FROM deliveries WHERE state = 'pending'
              LIMIT $1) AS d
        GROUP BY 1) AS d) AS deliveries,
    (SELECT count(*) FROM (SELECT FROM deliveries
        WHERE state = 'failed' AND updated_at > now() - interval '1 hour' LIMIT $1) AS f)
        AS failed_lately,
    (SELECT count(*) FROM (SELECT FROM alerts WHERE firing LIMIT $1) AS a) AS alerts_firing,
    (SELECT coalesce(json_object_agg(severity, n), '{}') FROM (
        SELECT severity, count(*) AS n
        FROM (SELECT severity FROM incidents WHERE is_open LIMIT $1) AS o GROUP BY severity) AS s)
        AS incidents,
    (SELECT count(*) FROM (SELECT FROM quarantine LIMIT $1) AS q) AS quarantined,
    (SELECT at FROM quarantine ORDER BY id DESC LIMIT 1) AS quarantined_at,
    (SELECT coalesce(json_object_agg(kind, json_build_array(waiting, held)), '{}') FROM (
        SELECT entrypoint AS kind,
            count(*) FILTER (WHERE status <> 'failed' AND execute_after <= now()) AS waiting,
            count(*) FILTER (WHERE status = 'failed') AS held
        FROM (SELECT entrypoint, status, execute_after FROM tocsin_pgqueuer LIMIT $1) AS j
        GROUP BY entrypoint) AS k) AS jobs,
    pg_total_relation_size('journal') AS journal_bytes,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'journal'::regclass)
        AS journal_about,
    pg_database_size(current_database()) AS database_bytes;

-- name: alive
-- about: Who runs on this database: those who showed life lately, and those who did not but never
-- said goodbye.
SELECT id, role, version, step, revision, started_at, seen_at,
    extract(epoch FROM now() - seen_at) AS silent_s,
    seen_at > now() - make_interval(secs => $1::double precision) AS is_alive
FROM processes
WHERE seen_at > now() - interval '1 day'
ORDER BY id;

-- name: senders
-- about: Who sends, the longest silent first.
SELECT name, source, first_seen_at, seen_at, signals,
    extract(epoch FROM now() - seen_at) AS silent_s
FROM senders
ORDER BY seen_at, name, source
LIMIT $1;

-- name: quarantined
-- about: What was put aside, by where it came from and why, with the newest of each.
SELECT source, why, count(*) AS number, max(at) AS newest_at
FROM (SELECT source, why, at FROM quarantine ORDER BY id DESC LIMIT $1) AS q
GROUP BY source, why
ORDER BY newest_at DESC
LIMIT 20;

-- name: database
-- about: What kind of server this is and how it is set.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('max_connections')::integer AS connections_max,
    current_setting('superuser_reserved_connections')::integer AS connections_reserved,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
        AS connections_used,
    current_setting('idle_session_timeout', true) AS idle_session_timeout,
    pg_is_in_recovery() AS is_standby,
    current_setting('synchronous_standby_names') AS synchronous_standbys,
    (SELECT count(*) FROM pg_stat_replication) AS standbys,
    pg_database_size(current_database()) AS bytes,
    clock_timestamp() AS at,
    pg_postmaster_start_time() AS started_at;

-- name: admins
-- about: How many people may do everything.
SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL;
