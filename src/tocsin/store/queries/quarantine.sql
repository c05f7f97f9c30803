-- name: add
-- about: Keep what could not be read, byte by byte, with why.
INSERT INTO quarantine (source, key, raw, why)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[]);

-- name: count
-- about: How many there are.
SELECT count(*) FROM quarantine;

-- name: trim
-- about: Keep it within so many rows and bytes. The oldest of who has most there go first: rows
-- count by how deep they lie in their own sender's pile, so that a flood buries only itself.
WITH piled AS (
    SELECT id,
        octet_length(raw) AS size,
        row_number() OVER own AS place,
        sum(octet_length(raw)) OVER own AS depth
    FROM quarantine
    WINDOW own AS (PARTITION BY key ORDER BY id DESC)
), summed AS (
    SELECT id,
        row_number() OVER (ORDER BY place, id DESC) AS rows_to_here,
        sum(size) OVER (ORDER BY depth, id DESC) AS bytes_to_here
    FROM piled
), dropped AS (
    DELETE FROM quarantine q USING summed s
    WHERE q.id = s.id AND (s.rows_to_here > $1 OR s.bytes_to_here > $2)
    RETURNING q.key
)
SELECT key, count(*) AS dropped FROM dropped GROUP BY key;
