"""Scenarios that nothing calls for, and symptoms that nobody could see."""

from __future__ import annotations

import pytest

from tests.runbook.lint import LEVELS, found, words_of

HEAD = "# Incidents\n\n## Scenarios\n\n### {name}\n\n"


def symptom(words, before=""):
    text = (before or "# Incidents\n\n") + (
        f"## Scenarios\n\n### Case\n\n**Symptoms:**\n\n- {words}\n\n**Response:**\n\n1. Act\n"
    )
    return found("T174", text), text


@pytest.mark.parametrize(
    "words",
    ["A funny feeling", "The mood is gloomy", "Somebody has a hunch", "It is Friday afternoon"],
)
def test_a_symptom_without_anything_to_see_is_found(words):
    findings, text = symptom(words)
    assert [words_of(f, text) for f in findings] == [words]


@pytest.mark.parametrize(
    "words",
    [
        "Customers complain", "Users report loading states", "Spike in support tickets", "Queries time out",
        "Master changed", "Nobody can log in", "p99 > 2s", "`up == 0`", "Everything feels slow",
        "KubePodCrashLooping", "The website shows an old catalogue page", "Payments do not go through",
        "Cache hit rate below 70%", "Emails are not delivered", "\u041d\u0435\u0442 \u0441\u0432\u044f\u0437\u0438",
        "Certificates are about to expire", "Half of the replicas are gone", "Data looks wrong",
        "Timing pattern (automated attempts)", "\u201clocked\u201d",
    ],
)  # fmt: skip
def test_what_alerts_logs_tests_and_people_report_is_seen(words):
    assert symptom(words)[0] == []


def test_the_words_of_the_criteria_and_sources_are_seen():
    assert symptom("The carousel squeaks")[0] != []
    own = LEVELS.replace("Much is down", "A carousel stands still")
    assert symptom("The carousel squeaks", own)[0] == []


def test_a_scenario_without_symptoms_is_found_unless_its_name_is_one():
    [finding] = found("T173", HEAD.format(name="Tidy up afterwards") + "1. Close the ticket\n")
    assert finding.source.line == 5
    for name in ("Database is down", "High error rate", "DiskFull", "Slow pages"):
        assert found("T173", HEAD.format(name=name) + "1. Close the ticket\n") == []


def test_a_scenario_that_an_alert_leads_to_needs_no_symptoms():
    text = HEAD.format(name="Tidy up afterwards") + "**Alert:** `TidyUp`\n\n1. Close the ticket\n"
    assert found("T173", text) == []


def test_a_document_about_an_alert_is_led_to_by_its_name():
    assert found("T173", {"Odd.md": "# Odd\n\n## Meaning\n\nx\n\n## Mitigation\n\n1. Act\n"}) == []
