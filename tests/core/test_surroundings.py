"""What a matcher matches, and how long it may take."""

from __future__ import annotations

import random
import time

import pytest

from tocsin.core.surroundings import EXPRESSION_TEXT_MAX, Matcher


def _on(expression: str, text: str, *, is_equal: bool = True) -> bool:
    return Matcher("a", expression, is_regex=True, is_equal=is_equal).matches({"a": text})


def test_a_thousand_host_names_are_an_expression() -> None:
    names = [f"host-{number}.example.org" for number in range(1000)]
    assert _on("|".join(names), names[-1])
    assert not _on("|".join(names), "host-1000.example.org")


def test_a_text_too_long_to_be_judged_is_not_silenced() -> None:
    assert _on("x*", "x" * EXPRESSION_TEXT_MAX)
    for is_equal in (True, False):
        assert not _on("x*", "x" * (EXPRESSION_TEXT_MAX + 1), is_equal=is_equal)


@pytest.mark.parametrize(
    "expression",
    ["(a?){900}" * 40 + "a{900}", "[ab]*" + "(a?b?){1000}" + "[ab]*c?", "(.*a.*b){1000}.*"],
)
def test_no_expression_holds_up_the_server(expression: str) -> None:
    drawn = random.Random(1)  # noqa: S311 - a text that no automaton can foresee
    text = "".join(drawn.choice("ab") for _ in range(EXPRESSION_TEXT_MAX))
    began = time.perf_counter()
    _on(expression, text)
    assert time.perf_counter() - began < 5  # Without the bounds the first takes a minute.
