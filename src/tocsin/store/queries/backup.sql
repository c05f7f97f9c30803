-- name: tables
-- about: Every table of ours, and how many steps its columns went through.
SELECT table_name AS name FROM information_schema.tables
WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
ORDER BY table_name;

-- name: columns
-- about: The columns of a table in their order, with their types; not those that follow from others.
SELECT column_name AS name, data_type AS type FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'
ORDER BY ordinal_position;

-- name: key
-- about: The columns of a table's primary key, in its order.
SELECT a.attname AS name
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = to_regclass($1) AND i.indisprimary
ORDER BY k.place;

-- name: rows
-- about: All rows of a table in the order of its key. The names are put in by the store, quoted.
SELECT {columns} FROM {table} WHERE {condition} ORDER BY {key};

-- name: numbers
-- about: The sequences that number rows of a table.
SELECT c.column_name AS name,
    pg_get_serial_sequence(quote_ident(c.table_name), c.column_name) AS sequence
FROM information_schema.columns c
WHERE c.table_schema = current_schema() AND c.table_name = $1 AND c.is_identity = 'YES'
ORDER BY c.ordinal_position;

-- name: number
-- about: The last number that a sequence gave; null before the first.
SELECT CASE WHEN is_called THEN last_value END AS last FROM {sequence};

-- name: count_on
-- about: Let a sequence go on after a number.
SELECT setval($1::text::regclass, $2::bigint, true);

-- name: count_anew
-- about: Let a sequence begin.
SELECT setval($1::text::regclass, 1, false);

-- name: step
-- about: The newest migration that was applied.
SELECT max(number) FROM migrations;

-- name: now
-- about: When a backup was begun.
SELECT clock_timestamp();

-- name: wait_for_tables
-- about: For how long a restore waits for those who are using the tables.
SELECT set_config('lock_timeout', '30s', true);

-- name: hold
-- about: Keep everybody else out of these tables until the transaction ends.
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;

-- name: is_used
-- about: Whether a table has a row.
SELECT EXISTS (SELECT FROM {table});

-- name: empty
-- about: Throw away the rows of these tables.
TRUNCATE {tables};
