"""Whatever is written, the checks end, soon, and point into the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runbook.lint import LEVELS, SCENARIO
from tocsin.runbook import compile_runbook
from tocsin.runbook.lint import check

SECONDS_MAX = 3.0


@pytest.mark.parametrize(
    "text",
    [
        SCENARIO + "1. " + "check it " * 100_000,
        SCENARIO + "1. `kubectl delete " + "rm x " * 5_000 + "`",
        SCENARIO + "```sql\nDELETE " + "'" * 1_000_001 + "\n```",
        SCENARIO + "```sql\n" + "update a " * 100_000 + "\n```",
        SCENARIO + "export " + " " * 1_000_000 + "x",
        SCENARIO + "a" * 1_000_000,
        SCENARIO + "1. \u201c" + "if needed " * 50_000,
        SCENARIO.replace("- Every", "- x\n" * 20_000 + "- Every"),
        LEVELS + "## Escalation\n\n" + "- P0: page the CTO if not resolved in 1 hour\n" * 1_000,
    ],
    ids=[
        "steps",
        "command",
        "quotes",
        "updates",
        "spaces",
        "word",
        "condition",
        "symptoms",
        "rungs",
    ],
)
def test_what_has_no_end_is_checked_in_a_moment(text):
    compiled = compile_runbook({"r.md": text})
    begun = time.perf_counter()
    check(compiled)
    assert time.perf_counter() - begun < SECONDS_MAX


PIECES = st.sampled_from(
    ["# A\n", "## Scenarios\n", "### B\n", "**Symptoms:**\n", "- x\n", "**Response:**\n", "1. Restart it if needed\n",
     "```bash\n", "```sql\n", "DELETE FROM a\n", "kubectl delete pod <p> $X\n", "```\n", "## Escalation\n",
     "- P0: page the CTO after 1 hour\n", "### P0\n", "\t\u202e\u7d4c\n", "| a | b |\n", "[x](y.md)\n", "\n"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30), st.text(max_size=40))
def test_every_finding_points_into_the_text(pieces, rest):
    text = "".join(pieces) + rest
    compiled = compile_runbook({"r.md": text})
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for finding in check(compiled):
        line = lines[finding.source.line - 1]
        assert 1 <= finding.column <= finding.end_column <= len(line) + 1
