-- kind: expand
-- How each contact did when it was last used: a contact that nobody ever tried is a hole.
CREATE TABLE contacts (
    contact text COLLATE "C" PRIMARY KEY,
    delivered_at timestamptz,
    failed_at timestamptz,
    detail text NOT NULL DEFAULT ''
);
-- Failures are few among millions, and looked for often.
CREATE INDEX deliveries_failed ON deliveries (updated_at) WHERE state = 'failed';
