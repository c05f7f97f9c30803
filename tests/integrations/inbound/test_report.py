from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.integrations.badinput import NEEDS_BAD_INPUT, json_fragments, naughty_strings
from tocsin.integrations.inbound.report import read_report
from tocsin.integrations.signals import NotJson

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def read(**report):
    return read_report(json.dumps(report).encode(), AT, "form")


def test_a_report_becomes_a_signal_that_never_ends_by_itself():
    received = read(title=" Checkout hangs ", text="since two", service="api", reporter="Ana")
    (signal,) = received.signals
    assert (received.source, received.key, received.rejected) == ("report", "form", ())
    assert (signal.source, signal.key, signal.title) == ("report", "form", "Checkout hangs")
    assert signal.labels == {"alertname": "UserReport", "service": "api"}
    assert signal.annotations == {
        "summary": "Checkout hangs",
        "description": "since two",
        "reporter": "Ana",
    }
    assert (signal.starts_at, signal.ends_at) == (AT, None)


def test_the_title_alone_is_enough():
    (signal,) = read(title="Checkout hangs").signals
    assert signal.labels == {"alertname": "UserReport"}


def test_every_report_is_a_signal_of_its_own():
    body = b'{"title": "Checkout hangs"}'
    spaced = b'{ "title":  "Checkout hangs" }'
    prints = [
        read_report(body, AT, "form").signals[0].fingerprint,
        read_report(body, AT + timedelta(microseconds=1), "form").signals[0].fingerprint,
        read_report(b'{"title": "Checkout hung"}', AT, "form").signals[0].fingerprint,
    ]
    assert len(set(prints)) == 3
    assert read_report(spaced, AT, "form").signals[0].fingerprint == prints[0]


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ({}, "title"),
        ({"title": ""}, "title is empty"),
        ({"title": "  "}, "title is empty"),
        ({"title": "x" * 201}, "201 characters"),
        ({"title": 5}, "wrong shape"),
        ({"title": "x", "titel": "y"}, "titel"),
        ({"title": "x", "text": "y" * 10_001}, "text has more"),
        ({"title": "x\0"}, "U+0000"),
        ({"title": "x", "reporter": "\0"}, "U+0000"),
    ],
)
def test_a_report_that_means_nothing_is_rejected_and_says_why(report, why):
    received = read(**report)
    assert received.signals == ()
    (rejected,) = received.rejected
    assert why in rejected.why
    assert json.loads(rejected.raw) == report


@pytest.mark.parametrize(
    "body", [b"", b"hello", b'{"title": "x"', b'{"title": NaN}', b'{"title": "x"} {}']
)
def test_a_body_that_is_not_json_says_where(body):
    with pytest.raises(NotJson, match="JSON"):
        read_report(body, AT, "form")


@NEEDS_BAD_INPUT
@pytest.mark.parametrize("name", json_fragments())
def test_no_json_file_of_the_suite_is_more_than_not_json(name):
    try:
        received = read_report(json_fragments()[name], AT, "form")
    except NotJson:
        return
    # One file happens to be an object with a title, which is a report.
    assert len(received.signals) + len(received.rejected) == 1
    assert not received.signals or name == "y_object_string_unicode.json"


@NEEDS_BAD_INPUT
def test_naughty_strings_are_kept_as_they_are():
    for text in naughty_strings():
        if text.strip() and len(text) <= 200:
            assert read(title=text, text=text).signals[0].title == text.strip()
