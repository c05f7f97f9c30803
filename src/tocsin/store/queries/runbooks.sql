-- name: remember
-- about: Keep a revision. The same words are the same revision, so the first one stays.
INSERT INTO runbooks (revision, documents, policy, first_seen_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (revision) DO UPDATE SET policy = excluded.policy;

-- name: policy
-- about: What a revision compiled to.
SELECT policy FROM runbooks WHERE revision = $1;

-- name: documents
-- about: The words of a revision.
SELECT documents FROM runbooks WHERE revision = $1;
