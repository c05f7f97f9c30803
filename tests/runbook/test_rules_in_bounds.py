"""Rules in text that nobody would write: read in a time that grows no faster than the text."""

from __future__ import annotations

import time

import pytest

from tests.runbook.documents import assert_ledger_is_complete, compiled

CHARACTERS = 60_000
SECONDS_MAX = 5.0
"""A hundred times what it takes; what grows with the square of the text takes minutes."""

_BEFORE = (
    "# R\n\n## Severity levels\n\n- **P0**: all\n- **P1**: some\n\n"
    "## Escalation\n\n1. **Engineer**: first\n\n"
)
_OVER_AND_OVER = (
    "P1 ",
    "if ",
    "page the ",
    "team lead, ",
    "1 hour ",
    "→ a ",
    "15 min → lead, ",
    "(team lead) ",
    "was paged ",
    "; page the cto after 5 min",
    "P1: page the lead after 15 min. ",
)


@pytest.mark.parametrize("form", ["- {}", "| a | b |\n|---|---|\n| {} | c |", "{}", "```\n{}\n```"])
@pytest.mark.parametrize("words", _OVER_AND_OVER)
def test_a_line_without_end_is_read_in_bounds(words, form):
    text = _BEFORE + form.format(words * (CHARACTERS // len(words)))
    began = time.perf_counter()
    result = compiled(text + "\n")
    assert time.perf_counter() - began < SECONDS_MAX
    assert_ledger_is_complete(result)


def test_thousands_of_rules_are_read_in_bounds():
    lines = "\n".join(f"- P1: page the lead of team {n} after {n + 1} min" for n in range(2_000))
    began = time.perf_counter()
    result = compiled(f"{_BEFORE}{lines}\n")
    assert time.perf_counter() - began < 2 * SECONDS_MAX
    assert len(result.policy.escalations) >= 2_000
