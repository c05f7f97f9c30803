"""SQL that writes."""

from __future__ import annotations

import pytest

from tests.runbook.lint import SCENARIO, found, words_of
from tocsin.runbook.lint.statements import writing_verb


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("DELETE FROM sessions", "DELETE FROM"),
        ("update users set active = false", "update users set"),
        ("INSERT INTO audit SELECT 1", "INSERT INTO"),
        ("TRUNCATE sessions", "TRUNCATE"),
        ("DROP TABLE sessions", "DROP TABLE"),
        ("ALTER TABLE a ADD b int", "ALTER TABLE"),
        ("CREATE INDEX CONCURRENTLY i ON a(b)", "CREATE INDEX"),
        ("GRANT ALL ON a TO b", "GRANT ALL"),
        ("VACUUM a", "VACUUM"),
        ("SELECT 1; DELETE FROM a", "DELETE FROM"),
        ("WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone", "DELETE FROM"),
        ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "pg_terminate_backend"),
        ("MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", "MERGE INTO"),
    ],
)
def test_what_writes(sql, verb):
    assert writing_verb(sql) == verb


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM deletes",
        "SELECT 'DELETE FROM a'",
        "SELECT updated_at FROM users",
        "-- DELETE FROM a",
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'",
        "EXPLAIN SELECT 1",
        "SHOW max_connections",
        "SELECT created FROM drops ORDER BY created",
        "",
    ],
)
def test_what_reads(sql):
    assert writing_verb(sql) == ""


def test_it_is_found_in_a_command_also_on_its_second_line():
    step = '1. Forget:\n\n   ```bash\n   psql -c "\n   DELETE FROM sessions"\n   ```\n'
    text = SCENARIO + step
    [finding] = found("T175", text)
    assert finding.source.line == 17
    assert words_of(finding, text) == "DELETE FROM"


def test_it_is_found_in_a_block_of_sql_once():
    text = SCENARIO + "1. Forget:\n\n```sql\nSELECT 1;\nDELETE FROM a;\nDELETE FROM b;\n```\n"
    [finding] = found("T175", text)
    assert finding.source.line == 17


@pytest.mark.parametrize(
    "step",
    [
        "Count: `psql -c 'SELECT count(*) FROM a'`",
        "Say: `echo 'DELETE FROM a'`",
        "```text\nDELETE FROM a\n```",
        "```\nDELETE FROM a\n```",
    ],
)
def test_near_it_nothing_is_said(step):
    assert found("T175", SCENARIO + f"1. x\n\n{step}\n") == []
