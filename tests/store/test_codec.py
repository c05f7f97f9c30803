from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import AT, NASTY, NASTY_SHOWN, signal
from tocsin.core.inputs import Input, NoteWritten, Signal, SignalReceived
from tocsin.store import codec


def test_bytes_keep_nul_and_halves_of_surrogate_pairs() -> None:
    given_signal = signal(title=NASTY)
    assert codec.decode(codec.encode(given_signal), Signal) == given_signal


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_any_text_survives_the_bytes(words: str) -> None:
    note = NoteWritten("sam", words)
    assert codec.decode(codec.encode(note), Input) == note  # type: ignore[arg-type]  # a union


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_any_text_can_be_shown(words: str) -> None:
    shown = codec.text(words)
    shown.encode()
    assert "\x00" not in shown
    assert len(shown) == len(words)


def test_only_what_cannot_be_stored_is_replaced() -> None:
    assert codec.text(NASTY) == NASTY_SHOWN


def test_bytes_of_another_shape_are_refused_not_guessed() -> None:
    body = codec.encode(SignalReceived(signal())).replace(b"SignalReceived", b"SignalInvented")
    with pytest.raises(msgspec.ValidationError):
        codec.decode(body, Input)  # type: ignore[arg-type]  # a union


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.decode(b'{"half', Signal)


@given(st.text(max_size=3000))
def test_a_key_fits_an_index_and_is_its_own_key(words: str) -> None:
    made = codec.key(words)
    assert len(made.encode()) <= 1_000
    assert codec.key(made) == made


def test_long_keys_that_differ_at_the_end_stay_different() -> None:
    assert codec.key("a" * 5_000 + "b") != codec.key("a" * 5_000 + "c")


def test_instants_outside_of_what_utc_can_say_become_its_nearest() -> None:
    early = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    late = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert codec.moment(early) == datetime(1, 1, 1, tzinfo=UTC)
    assert codec.moment(late).year == 9999
    assert codec.moment(AT.astimezone(timezone(timedelta(hours=2)))) == AT
