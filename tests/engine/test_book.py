"""The runbook in force, and what the settings beside it make of it."""

from __future__ import annotations

from tocsin.core.surroundings import Directory, Tuning
from tocsin.engine.book import Book
from tocsin.runbook import compile_runbook

RUNBOOK = """\
# R

## Severity

### P0
- x

### P1
- y

## Escalation path

1. **Engineer**: first response
"""


def book(**changed):
    compiled = compile_runbook({"runbook.md": RUNBOOK})
    return Book(compiled, Directory(), **{"configured": True, **changed})


def test_the_findings_tell_of_people_and_of_levels_that_the_settings_name():
    tuning = Tuning(severity_by_label={"page": "P0", "warning": "P7"})
    codes = [finding.code for finding in book(tuning=tuning).findings]
    assert "T141" in codes
    assert codes.count("T146") == 1


def test_without_tuning_no_level_is_in_question():
    assert "T146" not in {finding.code for finding in book().findings}
