-- name: add
-- about: Keep what could not be read, byte by byte, with why.
INSERT INTO quarantine (source, key, raw, why)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]);

-- name: count
-- about: How many there are.
SELECT count(*) FROM quarantine;
