-- name: claim
-- about: Lock one stream for this transaction; nothing while another holds it.
SELECT seq, state FROM streams WHERE stream = $1 FOR UPDATE SKIP LOCKED;

-- name: claim_waiting
-- about: Lock one stream for this transaction; wait while another holds it.
SELECT seq, state FROM streams WHERE stream = $1 FOR UPDATE;

-- name: may_create
-- about: Among those who want to create the same stream at once, one goes on.
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1));

-- name: try_alone
-- about: Among those who want to do the same thing at once, one does it.
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 2));

-- name: create
-- about: The row of a stream that had none. Its creator holds it until the end of the transaction.
INSERT INTO streams (stream) VALUES ($1) ON CONFLICT (stream) DO NOTHING;

-- name: save
-- about: Where the stream is now. Its claimant calls this.
UPDATE streams SET seq = $2, state = $3 WHERE stream = $1;

-- name: load
-- about: Where the stream was at the last commit, without a lock.
SELECT seq, state FROM streams WHERE stream = $1;
