-- name: note
-- about: Add to what is known of senders. Several processes hear the same one; the latest counts.
INSERT INTO senders AS s (name, source, first_seen_at, seen_at, signals)
SELECT n.name, n.source, n.at, n.at, n.signals
FROM (
    SELECT name, source, signals, now() - make_interval(secs => seconds_ago) AS at
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::double precision[])
        AS u (name, source, signals, seconds_ago)
) n
ON CONFLICT (name, source) DO UPDATE SET
    seen_at = greatest(s.seen_at, excluded.seen_at), signals = s.signals + excluded.signals;

-- name: find
-- about: All that ever sent something, the longest silent first.
SELECT name, source, first_seen_at, seen_at, signals FROM senders ORDER BY seen_at, name, source;
