"""An excerpt: what a terminal shows of a line, and the cells under the words that are meant."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tocsin.reports.excerpt import excerpt, plain, shown_width


def under(line, words, cells=100):
    start = line.index(words)
    found = excerpt(line, start, start + len(words), cells)
    return found, " " * found.at + "^" * found.width


def test_the_marks_stand_under_the_words():
    found, marks = under("- P7: page the CTO", "P7")
    assert (found.shown, marks) == ("- P7: page the CTO", "  ^^")


def test_a_tab_is_four_cells():
    found, marks = under("\tkubectl get", "kubectl")
    assert (found.shown, marks) == ("    kubectl get", "    ^^^^^^^")


def test_wide_letters_are_two_cells_and_combining_ones_none():
    found, marks = under("\u7d4c\u55b6: e\u0301t\u00e9 P0", "P0")
    assert found.shown == "\u7d4c\u55b6: e\u0301t\u00e9 P0"
    assert marks == " " * 10 + "^^"
    found, marks = under("P0 \u7d4c\u55b6", "\u7d4c\u55b6")
    assert marks == "   ^^^^"


def test_what_would_move_the_cursor_or_turn_the_reading_is_a_sign():
    found, marks = under("\x1b[31m\u202eP0", "P0")
    assert found.shown == "\u241b[31m<U+202E>P0"
    assert marks == " " * 13 + "^^"
    assert plain("\x7f\x85\u200b") == "\u2421\ufffd<U+200B>"


def test_words_that_run_from_right_to_left_are_quoted_instead():
    found, _ = under("- \u05d4\u05de\u05e0\u05d4\u05dc P7", "P7")
    assert found.turns
    assert found.words == "P7"


def test_a_long_line_is_shown_around_the_words():
    line = "a" * 5000 + " P7 " + "b" * 5000
    found, marks = under(line, "P7", 60)
    assert shown_width(found.shown) <= 60
    assert found.shown[0] == found.shown[-1] == "\u2026"
    assert found.shown[found.at : found.at + found.width] == "P7"
    assert marks.endswith("^^")


def test_words_longer_than_the_terminal_are_cut():
    found, marks = under("x " + "y" * 500, "y" * 500, 40)
    assert shown_width(found.shown) <= 40
    assert len(marks) <= 40


def test_there_is_a_mark_where_the_line_has_ended():
    assert excerpt("abc", 3, 3) == excerpt("abc", 99, 120)
    assert excerpt("", 0, 0).width == 1


@given(st.text(), st.integers(0, 60), st.integers(0, 60), st.integers(8, 120))
def test_whatever_the_line_the_excerpt_is_one_line_within_its_width(line, start, length, cells):
    found = excerpt(line, start, start + length, cells)
    assert shown_width(found.shown) <= cells
    assert found.at + found.width <= cells + 1
    assert not any(unicodedata.category(ch) in ("Cc", "Zl", "Zp", "Cs") for ch in found.shown)
