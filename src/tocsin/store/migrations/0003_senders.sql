-- kind: expand
-- Whose inputs wait: no sender may fill the inbox for the others. "" is ourselves and people.
ALTER TABLE inbox ADD COLUMN sender text COLLATE "C" NOT NULL DEFAULT '';
-- The same index as before, with the sender in it: counting what waits need not visit the rows.
DROP INDEX inbox_waiting;
CREATE INDEX inbox_waiting ON inbox (stream, priority, id) INCLUDE (sender) WHERE done_at IS NULL;
-- A queue is emptied as fast as it fills: what was taken must not lie in the way of what comes.
ALTER TABLE inbox SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);

-- Who sent what, and when last: a source that falls silent is worth a word.
CREATE TABLE senders (
    name text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    signals bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (name, source)
);
