"""Rungs that come too late to page anybody new."""

from __future__ import annotations

import pytest

from tests.runbook.lint import LEVELS, found, words_of


def of(*lines):
    text = LEVELS + "## Escalation\n\n" + "".join(f"- {line}\n" for line in lines)
    return found("T170", text), text


def test_a_timer_for_somebody_paged_at_once_is_found():
    findings, text = of(
        "P0: page the on-call engineer and the team lead immediately",
        "P0: page the team lead if not resolved in 1 hour",
        "P1: page the on-call engineer immediately",
    )
    [finding] = findings
    assert finding.source.line == 14
    assert words_of(finding, text).casefold() == "team lead"
    assert "at once by line 13" in finding.message
    assert "1 h" in finding.message


def test_whoever_is_paged_unless_resolved_is_paged_before_a_later_acknowledgement():
    findings, _ = of(
        "P0: page the on-call engineer immediately",
        "P0: page the team lead if not resolved in 30 minutes",
        "P0: page the team lead if not acknowledged in 1 hour",
    )
    [finding] = findings
    assert "before that by line 14" in finding.message


@pytest.mark.parametrize(
    "lines",
    [
        # Somebody new among those it pages.
        (
            "P0: page the on-call engineer immediately",
            "P0: page the on-call engineer and the CTO if not resolved in 1 hour",
        ),
        # The sooner line is about another level.
        (
            "P1: page the team lead immediately",
            "P0: page the on-call engineer immediately",
            "P0: page the team lead if not resolved in 1 hour",
        ),
        # An acknowledgement stops the sooner clock, and leaves the later one running.
        (
            "P0: page the on-call engineer immediately",
            "P0: page the team lead if not acknowledged in 15 minutes",
            "P0: page the team lead if not resolved in 1 hour",
        ),
        # The later line comes first in the document.
        (
            "P0: page the team lead if not resolved in 1 hour",
            "P0: page the on-call engineer immediately",
        ),
    ],
)
def test_near_it_nothing_is_said(lines):
    findings, _ = of(*lines)
    assert findings == []
