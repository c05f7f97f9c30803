-- kind: expand
-- The alerts of an incident, as the incident sees them: rows, since a storm brings a hundred
-- thousand into one. Its state counts them. Who fires is shown first, so that is what is indexed.
CREATE TABLE incident_alerts (
    incident text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    firing boolean NOT NULL,
    muted_by text COLLATE "C",
    record bytea NOT NULL,
    PRIMARY KEY (incident, fingerprint)
);
CREATE INDEX incident_alerts_in_order ON incident_alerts (incident, firing DESC, number);

-- What is over, by when it changed last, and desks' alerts that ended: for lists, and for pruning.
CREATE INDEX incidents_over ON incidents (updated_at) WHERE NOT is_open;
CREATE INDEX alerts_ended ON alerts (updated_at) WHERE NOT firing;
