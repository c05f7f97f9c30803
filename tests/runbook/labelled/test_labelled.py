"""What the compiler reads of documents it has not seen before: the labelled cases."""

from __future__ import annotations

import pytest

from tests.runbook.documents import assert_ledger_is_complete
from tests.runbook.labelled.cases import read_cases
from tests.runbook.labelled.evaluate import KINDS, compiled_case, report, score

LEAST = {"severity": (70, 20), "escalation": (140, 50), "communication": (70, 20)}
"""How many cases and near-misses each kind has at least."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_labelled_is_read(kind):
    total = score(kind)
    assert total.precision >= 0.99, "\n".join(report(kind))
    assert total.recall >= 0.97, "\n".join(report(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_invented_of_a_near_miss(kind):
    total = score(kind)
    assert total.invented == 0, "\n".join(report(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_labelled_set_is_large_and_says_nothing_twice(kind):
    cases = read_cases(kind)
    near = sum(case.near_miss for case in cases)
    assert (len(cases) - near, near) >= LEAST[kind]
    assert near >= LEAST[kind][1]
    assert len({case.title for case in cases}) == len(cases)
    assert len({(case.about, case.text) for case in cases}) == len(cases)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_every_case_is_accounted_for(kind):
    for case in read_cases(kind):
        assert_ledger_is_complete(compiled_case(case, "Escalation"))


def test_the_score_tells_what_is_missed_and_what_is_invented():
    lines = report("severity")
    assert lines[-1].startswith("severity: ")
    assert "precision" in lines[-1]
