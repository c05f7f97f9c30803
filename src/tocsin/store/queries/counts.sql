-- name: standing
-- about: How much stands in each table now, for /metrics. One statement, so that it is one moment.
SELECT
    (SELECT count(*) FROM alerts WHERE firing) AS alerts_firing,
    (SELECT count(*) FROM inbox WHERE done_at IS NULL) AS inbox_waiting,
    (SELECT count(*) FROM quarantine) AS quarantined,
    (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0) FROM timers WHERE due_at < now())
        AS oldest_due_s,
    (SELECT coalesce(json_object_agg(severity, n), '{}')
       FROM (SELECT severity, count(*) AS n FROM incidents WHERE is_open GROUP BY severity) AS s)
        AS incidents_by_severity,
    (SELECT coalesce(json_object_agg(state, n), '{}')
       FROM (SELECT state, count(*) AS n FROM deliveries GROUP BY state) AS d)
        AS deliveries_by_state;
