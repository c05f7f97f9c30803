-- The alerts of an incident, as the incident sees them: rows, since a storm brings a hundred
-- thousand into one. Its state holds how many there are of each kind.
CREATE TABLE incident_alerts (
    incident text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    record bytea NOT NULL,
    PRIMARY KEY (incident, fingerprint)
);
CREATE INDEX incident_alerts_in_order ON incident_alerts (incident, number);
