-- kind: expand
-- Who runs on this database. An id is never given twice, so that it also fences: of two processes
-- that both think a lease theirs, the database knows which.
CREATE TABLE processes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role text NOT NULL,
    version text NOT NULL,
    step integer NOT NULL,
    revision text COLLATE "C" NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- Who has a delivery in hand, and which channel it leaves by. A channel is what can be dead as a
-- whole: each webhook by itself, Slack, the mail server.
ALTER TABLE deliveries ADD COLUMN leased_by bigint;
ALTER TABLE deliveries ADD COLUMN lane text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
    CASE WHEN contact LIKE 'webhook:%' THEN contact ELSE split_part(contact, ':', 1) END
) STORED;
-- Channel by channel, pages before notices, the longest due first.
DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (lane, kind DESC, due_at) WHERE state = 'pending';

-- What people did, found at once in whatever storm.
CREATE INDEX inbox_urgent ON inbox (stream) WHERE done_at IS NULL AND priority <= 0;
