-- name: installed_version
-- about: Which release of the job library last saw to its tables.
SELECT version FROM installed WHERE component = 'pgqueuer';

-- name: remember_version
-- about: This release has seen to its tables.
INSERT INTO installed (component, version) VALUES ('pgqueuer', $1)
ON CONFLICT (component) DO UPDATE SET version = excluded.version;

-- name: prune_log
-- about: The library logs three rows a job. Failures are kept for a week, the rest for minutes.
DELETE FROM tocsin_pgqueuer_log
WHERE created < now() - interval '7 days'
    OR (created < now() - interval '10 minutes' AND status NOT IN ('failed', 'exception'));

-- name: prune_held
-- about: Jobs whose handler failed are held for a person to look at, for a week.
DELETE FROM tocsin_pgqueuer WHERE status = 'failed' AND updated < now() - interval '7 days';
