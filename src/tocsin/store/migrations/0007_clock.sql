-- kind: expand
-- The latest that the clock of this database ever showed us, so that a step backwards is noticed
-- even by a process that was not there before it. "steps" counts those that were dealt with.
CREATE TABLE clock_seen (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    latest timestamptz NOT NULL DEFAULT clock_timestamp(),
    steps bigint NOT NULL DEFAULT 0
);
INSERT INTO clock_seen DEFAULT VALUES;
