"""Levels that contradict each other."""

from __future__ import annotations

import pytest

from tests.runbook.lint import LEVELS, found, words_of


def criteria(*by_level):
    text = "# R\n\n## Severity levels\n\n" + "".join(
        f"### P{n}\n\n" + "".join(f"- {words}\n" for words in level) + "\n"
        for n, level in enumerate(by_level)
    )
    return found("T147", text), text


def test_one_criterion_under_two_levels_is_found_at_the_milder():
    findings, text = criteria(["Nobody can log in"], ["nobody can log in."])
    [finding] = findings
    assert words_of(finding, text) == "nobody can log in."
    assert "is graded P0" in finding.message


@pytest.mark.parametrize(
    "levels",
    [
        (["Nobody can log in"], ["Some cannot log in"]),
        (["Nobody can log in", "Nobody can log in"], ["Slow"]),
        (["Page the on-call engineer", "x y"], ["Page the on-call engineer"]),
        (["Response within the hour", "x y"], ["Response within the hour"]),
        (["Outage"], ["Outage"]),
    ],
)
def test_near_it_nothing_is_said(levels):
    assert criteria(*levels)[0] == []


def climbs(*lines):
    text = LEVELS + "## Escalation\n\n- Page the on-call engineer immediately\n"
    text += "".join(f"- {line}\n" for line in lines)
    return found("T148", text), text


def test_a_worse_level_that_waits_longer_is_found():
    findings, text = climbs(
        "P0: page the team lead if not resolved in 4 hours",
        "P1: page the team lead if not resolved in 1 hour",
    )
    [finding] = findings
    assert words_of(finding, text) == "P0"
    assert "after 4 h" in finding.message
    assert "after 1 h (line 15)" in finding.message


@pytest.mark.parametrize(
    "lines",
    [
        (
            "P0: page the CTO if not resolved in 1 hour",
            "P1: page the CTO if not resolved in 4 hours",
        ),
        (
            "P0: page the CTO if not resolved in 1 hour",
            "P1: page the CTO if not resolved in 1 hour",
        ),
        # Another role, another clock.
        (
            "P0: page the CTO if not resolved in 4 hours",
            "P1: page the lead if not resolved in 1 hour",
        ),
        (
            "P0: page the CTO if not resolved in 4 hours",
            "P1: page the CTO if not acknowledged in 1 hour",
        ),
        # Reached at once, and again later.
        (
            "P0: page the CTO immediately",
            "P0: page the CTO if not resolved in 4 hours",
            "P1: page the CTO if not resolved in 1 hour",
        ),
    ],
)
def test_a_pace_that_is_right_is_left_alone(lines):
    assert climbs(*lines)[0] == []
