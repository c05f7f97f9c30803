-- name: announce
-- about: Tell all who listen, when this transaction commits. Twice in one is once.
SELECT pg_notify('tocsin_live', $1);
