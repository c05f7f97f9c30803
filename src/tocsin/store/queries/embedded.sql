-- name: database_exists
-- about: Whether an earlier start got as far as making our database.
SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'tocsin');

-- name: create_database
-- about: Our database, from the empty template, so that nothing added to template1 comes along.
CREATE DATABASE tocsin TEMPLATE template0;
