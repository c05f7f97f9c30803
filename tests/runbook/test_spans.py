"""Which words of a line a finding means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.base.source import Source
from tocsin.core.policy import Finding, Level
from tocsin.runbook.spans import span_of


def meant(line, column, message, end=0):
    finding = Finding("T100", Level.INFO, Source("r.md", 1), column, message, "", end)
    start, stop = span_of(finding, line)
    return line[start:stop]


@pytest.mark.parametrize(
    ("line", "column", "message", "words"),
    [
        # What the message quotes.
        ("5. Restart if needed", 12, "\u201cif needed\u201d: a person decides.", "if needed"),
        ("run `logs -f x`", 11, "`-f` never ends.", "-f"),
        # What it names without a quotation.
        ("| Data | Customer Success, Legal |", 10, "No rule reaches Customer Success.", "Customer Success"),
        ("| Data | Customer Success | Legal |", 10, "It reaches Customer Success | Legal.", "Customer Success"),
        # A word, without what follows it.
        ("- P7: page the CTO", 3, "Something else.", "P7"),
        # A whole line, where it points at the beginning of one.
        ("  - Call somebody  ", 1, "Something else.", "- Call somebody"),
        # The quoted words in it, where there are any.
        ("## The API is down", 1, "\u201cThe API is down\u201d has no steps.", "The API is down"),
        # A quotation that was cut, or that goes on in the next line.
        ("# Open Sentry", 3, "\u201cOpen Sentry. Look at it\u201d is a step.", "Open Sentry"),
        ("", 1, "Something else.", ""),
        # Folded, it is longer.
        ("- \u00df", 3, "\u201c\u00df\u201d is a letter.", "\u00df"),
    ],
)  # fmt: skip
def test_the_words_that_are_meant(line, column, message, words):
    assert meant(line, column, message) == words


def test_an_end_that_is_known_counts():
    assert meant("page the team lead now", 10, "x", end=19) == "team lead"


@given(st.text(), st.integers(1, 80), st.integers(0, 120), st.text())
def test_whatever_the_line_the_span_lies_in_it(line, column, end, message):
    finding = Finding(
        "T100", Level.INFO, Source("r.md", 1), column, f"\u201c{message}\u201d", "", end
    )
    start, stop = span_of(finding, line)
    assert 0 <= start <= stop <= len(line)
