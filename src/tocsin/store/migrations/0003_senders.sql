-- Whose inputs wait: no sender may fill the inbox for the others. "" is ourselves and people.
ALTER TABLE inbox ADD COLUMN sender text COLLATE "C" NOT NULL DEFAULT '';

-- Who sent what, and when last: a source that falls silent is worth a word.
CREATE TABLE senders (
    name text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    signals bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (name, source)
);
