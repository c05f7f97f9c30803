"""The small words of the screens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tocsin.web.pages import saying

AT = datetime(2026, 11, 23, 3, 1, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "due now"), (0, "due now"), (0.9, "due now"), (1, "0:01"), (96, "1:36"), (1300, "21:40"),
        (3599, "59:59"), (3600, "1 h 00"), (11_460, "3 h 11"), (259_199, "71 h 59"), (259_200, "3 days"),
    ],
)  # fmt: skip
def test_a_countdown_says_its_number_first(seconds: float, said: str) -> None:
    assert saying.until(AT + timedelta(seconds=seconds), AT) == said


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Priya Shah", "PS"), ("CTO", "CT"), ("On-Call Engineer", "OC"), ("", "?"), ("  ", "?"),
     ("🔥", "?"), ("Ürsula", "ÜR"), ("a", "A")],
)  # fmt: skip
def test_a_face_has_two_letters(name: str, letters: str) -> None:
    assert saying.initials(name) == letters


def test_lists_read_as_sentences() -> None:
    assert saying.listed([]) == ""
    assert saying.listed(["a"]) == "a"
    assert saying.listed(["a", "b", "c"]) == "a, b and c"


def test_small_numbers_are_words() -> None:
    assert [saying.number(n) for n in (0, 5, 12, 13, 4000)] == [
        "no",
        "five",
        "twelve",
        "13",
        "4,000",
    ]
    assert saying.counted(1, "entry", "entries") == "1 entry"
    assert saying.counted(2, "entry", "entries") == "2 entries"


def test_what_no_page_can_hold_is_shown_as_replaced() -> None:
    assert saying.sayable("a\x00b\ud800c\td\n") == "a\ufffdb\ufffdc\td\n"
