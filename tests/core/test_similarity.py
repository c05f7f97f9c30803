"""Reading a text sentence by sentence, and remembering what was read, changes nothing of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.core import similarity
from tocsin.core.similarity import Lexicon, concepts, signal_text

WORDS = st.sampled_from(
    [
        "not",
        "non-",
        "Non-critical",
        "down.",
        "DB",
        "errors",
        ".",
        "500",
        "not.",
        "loss",
        "or",
        "IsDown",
        "x.",
    ]
)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)


@given(TEXTS)
def test_a_text_is_read_as_if_it_were_one_sentence(text: str) -> None:
    at_once = dict(reversed(similarity._read(text)))
    assert list(concepts(text)) == list(dict.fromkeys(c for c, _ in similarity._read(text)))
    assert concepts(text) == at_once


@given(TEXTS)
def test_a_long_sentence_means_what_a_short_one_does(text: str) -> None:
    assert concepts(text + " " * 1_000) == concepts(text)


@given(TEXTS)
def test_what_no_line_is_about_changes_no_answer(text: str) -> None:
    lines = ["Data loss or corruption", "Database errors", "Non-critical failures", "Is down"]
    lexicon, said = Lexicon(lines), concepts(text)
    understood = dict(lexicon.understood(said))
    for line in lines:
        assert lexicon.compare(line, understood) == lexicon.compare(line, said)


def test_a_word_without_end_is_none_and_is_not_remembered() -> None:
    assert concepts("database " + "x" * 1_000_000) == concepts("database")


def test_of_a_text_that_goes_on_for_pages_the_first_is_read() -> None:
    text = signal_text("Down", {}, {"summary": "a b. " * 1_000_000, "description": "late"})
    assert len(text) < 12_000
    assert text.endswith("late")
