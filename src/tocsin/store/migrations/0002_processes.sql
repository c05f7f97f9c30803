-- Who runs on this database. An id is never given twice, so that it also fences: of two processes
-- that both think a lease theirs, the database knows which.
CREATE TABLE processes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role text NOT NULL,
    version text NOT NULL,
    step integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE deliveries ADD COLUMN leased_by bigint;
