"""What the words of a signal are worth, on the bundled example: near-misses included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.world import POLICY, QUIET, signal
from tocsin.core.events import GradedBecause
from tocsin.core.severity import default_level, grade_signal, grade_text, match_play
from tocsin.core.surroundings import Tuning
from tocsin.runbook import compile_runbook

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
NEUROCRED = compile_runbook({str(EXAMPLE): EXAMPLE.read_text()}).policy


@pytest.mark.parametrize(
    ("text", "level", "because", "play"),
    [
        ("All API endpoints are returning 500", "P0", "scenario", "The API is completely down"),
        ("Checkout: complete service outage", "P0", "criterion", "The API is completely down"),
        ("Data corruption found in the ledger", "P0", "criterion", None),
        ("Data lost after the migration", "P0", "criterion", None),
        ("Possible security breach of the vault", "P0", "criterion", None),
        (
            "Postgres has too many connections",
            "P1",
            "criterion",
            "The database refuses connections",
        ),
        ("Performance of exports is slightly degraded", "P2", "criterion", None),
        ("A cosmetic flaw on the landing page", "P3", "criterion", None),
        # Near-misses: one shared word, or a qualifier that the signal does not say.
        ("InstanceDown: backend:8000 is down", "P2", "default", None),
        ("KubePodCrashLooping", "P2", "default", None),
        ("Report export failing", "P2", "default", None),
        ("DatabaseBackupFinished", "P2", "default", None),
        ("P99 of the critical path", "P2", "default", None),
        ("", "P2", "default", None),
    ],
)
def test_words_are_graded_by_the_runbook(text, level, because, play):
    grade = grade_text(NEUROCRED, Tuning(), text)
    assert (grade.level, grade.because) == (level, because)
    found = match_play(NEUROCRED, text)
    assert (found.play if found else None) == play


def test_the_explanation_names_the_words_and_the_line():
    grade = grade_text(NEUROCRED, Tuning(), "Postgres has too many connections")
    assert grade.words == ("postgres", "connections")
    assert "database" in grade.source.quote


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ({"severity": "P1"}, "P1"),
        ({"severity": "p3"}, "P3"),
        ({"severity": "critical"}, "P0"),
        ({"priority": "High"}, "P1"),
        ({"severity": "page"}, "P0"),
    ],
)
def test_a_label_that_names_a_level_wins(labels, level):
    tuning = Tuning(severity_by_label={"page": "P0"})
    grade = grade_signal(POLICY, tuning, signal(summary="Cosmetic issues", **labels))
    assert (grade.level, grade.because) == (level, GradedBecause.LABEL)


def test_a_label_that_names_no_level_is_passed_over():
    grade = grade_signal(POLICY, QUIET, signal(summary="Cosmetic issues", severity="warning"))
    assert (grade.level, grade.because) == ("P3", GradedBecause.CRITERION)


def test_the_default_may_be_set():
    assert default_level(POLICY, Tuning(severity_default="p1")) == "P1"
    assert default_level(POLICY, Tuning(severity_default="nonsense")) == "P2"
