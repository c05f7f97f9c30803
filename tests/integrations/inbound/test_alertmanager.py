from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.badinput import NEEDS_BAD_INPUT, json_fragments, naughty_strings
from tocsin.integrations.inbound.alertmanager import fingerprint_of, read_alerts
from tocsin.integrations.signals import NotJson, Received

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
ZERO = "0001-01-01T00:00:00.000Z"
FIRST = b'{"labels": {"alertname": "First"}}'
LAST = b'{"labels": {"alertname": "Last"}}'


def read(*alerts: object) -> Received:
    return read_alerts(json.dumps(list(alerts)).encode(), AT, "prom")


def among_good_ones(member: bytes) -> Received:
    return read_alerts(b"[" + FIRST + b"," + member + b",\n" + LAST + b"]", AT, "prom")


def names(received: Received) -> list[str]:
    return [signal.labels["alertname"] for signal in received.signals]


def is_json(text: bytes) -> bool:
    """Ask a parser that nobody here wrote."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def test_an_alert_becomes_a_signal():
    received = read(
        {
            "labels": {"alertname": "ApiDown", "service": "api", "empty": ""},
            "annotations": {"summary": "No answer"},
            "startsAt": "2026-03-01T01:59:00Z",
            "endsAt": "2026-03-01T03:03:00+01:00",
            "generatorURL": "http://prometheus:9090/graph",
        }
    )
    (signal,) = received.signals
    assert received.rejected == ()
    assert (received.source, received.key) == ("prometheus", "prom")
    assert (signal.source, signal.key, signal.title) == ("prometheus", "prom", "ApiDown")
    assert signal.labels == {"alertname": "ApiDown", "service": "api"}
    assert signal.annotations == {"summary": "No answer"}
    assert signal.starts_at == AT - timedelta(minutes=1)
    assert signal.ends_at == AT + timedelta(minutes=3)
    assert signal.ends_at.tzinfo is UTC
    assert signal.url == "http://prometheus:9090/graph"
    assert signal.is_firing(AT)


@pytest.mark.parametrize(
    ("starts", "ends", "starts_at", "ends_at"),
    [
        (None, None, AT, AT + timedelta(minutes=5)),
        (ZERO, ZERO, AT, AT + timedelta(minutes=5)),
        ("2026-03-01T01:00:00Z", None, AT - timedelta(hours=1), AT + timedelta(minutes=5)),
        (None, "2026-03-01T01:00:00Z", AT - timedelta(hours=1), AT - timedelta(hours=1)),
        (None, "2026-03-01T03:00:00Z", AT, AT + timedelta(hours=1)),
        ("2026-03-01T02:00:00.123456789Z", None, AT.replace(microsecond=123457), None),
    ],
)
def test_times_that_are_not_set_are_filled_in(starts, ends, starts_at, ends_at):
    (signal,) = read({"labels": {"a": "b"}, "startsAt": starts, "endsAt": ends}).signals
    assert signal.starts_at == starts_at
    assert signal.ends_at == (ends_at or AT + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("alert", "why"),
    [
        ({}, "at least one label pair required"),
        ({"labels": {}}, "at least one label pair required"),
        ({"labels": {"alertname": ""}}, "at least one label pair required"),
        ({"labels": None}, "at least one label pair required"),
        (
            {"labels": {"a": "b"}, "startsAt": "2026-03-01T02:00:00Z", "endsAt": "2026-03-01T01:00:00Z"},
            "start time must be before end time",
        ),
        ({"labels": {"a-b": "c"}}, "invalid name 'a-b'"),
        ({"labels": {"0a": "c"}}, "invalid name"),
        ({"labels": {"a\nb": "c"}}, "invalid name"),
        ({"labels": {"a": "b"}, "annotations": {"x y": "c"}}, "invalid annotations"),
        ({"labels": {"a": 1}}, "wrong shape"),
        ({"labels": {"a": "b"}, "startsAt": "yesterday"}, "wrong shape"),
        ({"labels": {"a": "b"}, "startsAt": "2026-03-01T02:00:00"}, "no time zone"),
        ({"labels": {"a": "b"}, "endsAt": "9999-12-31T23:59:59-01:00"}, "beyond the year 9999"),
        ({"labels": {"a": "x\0y"}}, "U+0000"),
        ({"labels": {"a": "b"}, "annotations": {"c": "\0"}}, "U+0000"),
        ({"labels": {"a": "\ud800"}}, "surrogate"),
        (7, "wrong shape"),
        (None, "wrong shape"),
    ],
)  # fmt: skip
def test_an_alert_that_means_nothing_is_rejected_alone_and_says_why(alert, why):
    received = read({"labels": {"alertname": "First"}}, alert, {"labels": {"alertname": "Last"}})
    assert names(received) == ["First", "Last"]
    (rejected,) = received.rejected
    assert why in rejected.why
    assert json.loads(rejected.raw) == alert


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (b'{"labels": {"a": NaN}}', "not JSON"),
        (b'{"labels": {"a": "b"}, "value": -Infinity}', "not JSON"),
        (b'{"labels": {"a": "\xff"}}', "UTF-8"),
        (b'{"labels": {"a": "\xed\xa0\x80"}}', "UTF-8"),
        (b'{"labels": {"a": "\\uDC00 ] }"}}', "surrogate"),
        (b'{"labels": {"a": ' + b"9" * 5000 + b"}}", "wrong shape"),
        (b'{"labels": {"a": "b"}, "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "wrong shape"),
        (b"", "nothing between two commas"),
        (b"{'labels': {}}", "not JSON"),
        (b'{"labels": {"a": "line\nbreak"}}', "not JSON"),
    ],
)
def test_poison_is_rejected_with_its_bytes_and_its_siblings_go_on(member, why):
    received = among_good_ones(member)
    assert names(received) == ["First", "Last"]
    (rejected,) = received.rejected
    assert rejected.raw == member
    assert why in rejected.why


def test_what_is_odd_but_harmless_is_taken():
    received = among_good_ones(
        b'{"labels": {"alertname": "Twice", "alertname": "Odd"}, "n": ' + b"1" * 5000 + b', "labels2": "\\u0000"}'
    )  # fmt: skip
    assert names(received) == ["First", "Odd", "Last"]


def test_ten_megabytes_in_one_member_do_not_stop_the_others():
    big = (
        b'{"labels": {"alertname": "Big", "a": NaN}, "annotations": {"x": "'
        + b"x" * 10_000_000
        + b'"}}'
    )
    received = among_good_ones(big)
    assert names(received) == ["First", "Last"]
    assert received.rejected[0].raw == big


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "byte 0: the body is empty"),
        (b"  \n", "byte 3: the body is empty"),
        (b"hello", "byte 0: expected ["),
        (b'{"labels": {}}', "byte 0: expected ["),
        (b"null", "byte 0: expected ["),
        (b"[", "byte 1: the body ends before"),
        (b"[{}", "byte 3: the body ends before"),
        (b'[{"a', "byte 2: a string begins here and never ends"),
        (b"[{}]{}", "byte 4: the array is over"),
        (b"[}]", "byte 1: } closes"),
        (b"[" * 100_000, "byte 100000: the body ends before"),
        (b"\xff\xfe[\x00]\x00", "byte 0: expected ["),
        (b"[" + FIRST + b', {"a": "' + b"\\" * 99_999, "never ends"),
    ],
)
def test_a_body_that_is_no_array_says_where(body, where):
    with pytest.raises(NotJson) as caught:
        read_alerts(body, AT, "prom")
    assert where in str(caught.value)
    assert len(str(caught.value)) < 200


def test_an_empty_array_brings_nothing():
    assert read_alerts(b" [ ] ", AT, "prom") == Received((), (), "prometheus", "prom")
    assert read_alerts(b"[\xff]", AT, "prom").signals == ()


def test_addresses_that_a_browser_must_not_follow_are_dropped():
    for url in ("javascript:alert(1)", "data:text/html,x", "//evil", "file:///etc/passwd"):
        (signal,) = read({"labels": {"a": "b"}, "generatorURL": url}).signals
        assert signal.url == ""


@pytest.mark.parametrize(
    ("labels", "annotations", "title"),
    [
        ({"alertname": "ApiDown", "job": "x"}, {"summary": "s"}, "ApiDown"),
        ({"job": "x"}, {"summary": " No answer "}, "No answer"),
        ({"job": "x"}, {"title": "T"}, "T"),
        ({"job": "x", "env": "live"}, {}, "Alert env=live, job=x"),
        ({"alertname": "  ", "job": "x"}, {}, "Alert alertname=  , job=x"),
    ],
)
def test_a_signal_always_has_a_title(labels, annotations, title):
    (signal,) = read({"labels": labels, "annotations": annotations}).signals
    assert signal.title == title


def test_the_fingerprint_is_of_the_labels_alone():
    one, two, three = read(
        {"labels": {"a": "1", "b": "2", "c": ""}, "annotations": {"x": "1"}},
        {"labels": {"b": "2", "a": "1"}, "endsAt": "2026-03-01T02:30:00Z"},
        {"labels": {"a": "12"}},
    ).signals
    assert one.fingerprint == two.fingerprint != three.fingerprint
    # The value is stored with every alert; a changed hash would orphan them all.
    assert fingerprint_of({"alertname": "ApiDown", "service": "api"}) == "64823f5c69f68f52"


def test_labels_that_run_together_do_not_share_a_fingerprint():
    assert fingerprint_of({"ab": "c"}) != fingerprint_of({"a": "bc"})
    assert fingerprint_of({"a": "b", "c": "d"}) != fingerprint_of({"a": "bcd"})


@NEEDS_BAD_INPUT
@pytest.mark.parametrize("name", json_fragments())
def test_no_json_file_of_the_suite_takes_its_siblings_with_it(name):
    member = json_fragments()[name]
    try:
        received = among_good_ones(member)
    except NotJson:
        # Only broken brackets or quotes may end the whole array, and only where no JSON was.
        assert name.startswith("n_"), name
        assert not is_json(member), name
        return
    assert names(received)[0] == "First"
    assert names(received)[-1] == "Last"
    assert len(received.signals) == 2  # no file of the suite is an alert
    assert received.rejected


@NEEDS_BAD_INPUT
@pytest.mark.parametrize("name", json_fragments())
def test_no_json_file_of_the_suite_is_more_than_not_json(name):
    try:
        received = read_alerts(json_fragments()[name], AT, "prom")
    except NotJson:
        return
    assert received.signals == ()


@NEEDS_BAD_INPUT
def test_naughty_strings_are_kept_as_they_are_in_labels_and_annotations():
    strings = [text for text in naughty_strings() if text]
    assert len(strings) > 500
    received = read(
        *({"labels": {"alertname": "A", "v": text}, "annotations": {"v": text}} for text in strings)
    )
    assert received.rejected == ()
    assert [signal.labels["v"] for signal in received.signals] == strings
    assert [signal.annotations["v"] for signal in received.signals] == strings


@NEEDS_BAD_INPUT
def test_naughty_strings_as_names_or_times_or_members_spoil_only_their_own_alert():
    for text in naughty_strings():
        received = read(
            {"labels": {"alertname": "First"}},
            {"labels": {"alertname": "A", text: "x"}},
            {"labels": {"alertname": "A"}, "startsAt": text},
            text,
            {"labels": {"alertname": "Last"}},
        )
        assert names(received)[0] == "First"
        assert names(received)[-1] == "Last"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_are_not_json(body):
    for candidate in (body, b"[" + body + b"]", b"[" + FIRST + b"," + body + b"]"):
        try:
            read_alerts(candidate, AT, "prom")
        except NotJson:
            continue


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(json_values)
def test_any_json_value_leaves_its_siblings_alone(value):
    received = among_good_ones(json.dumps(value).encode())
    assert names(received)[0] == "First"
    assert names(received)[-1] == "Last"
    assert len(received.signals) + len(received.rejected) == 3


@given(
    st.lists(
        st.dictionaries(
            st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(min_size=1), min_size=1
        )
    )
)
def test_the_slow_way_cuts_where_the_fast_way_does(labels):
    members = [msgspec.json.encode({"labels": each}) for each in labels if "\0" not in str(each)]
    members = [m for m in members if b"\\u0000" not in m]
    fast = read_alerts(b"[" + b",".join(members) + b"]", AT, "prom")
    slow = read_alerts(b"[" + b",".join([*members, b"NaN"]) + b"]", AT, "prom")
    assert slow.signals == fast.signals
    assert [each.raw for each in slow.rejected] == [b"NaN"]


def test_zones_other_than_utc_are_the_same_instant():
    east = datetime(2026, 3, 1, 4, 0, tzinfo=timezone(timedelta(hours=2)))
    (signal,) = read({"labels": {"a": "b"}, "startsAt": east.isoformat()}).signals
    assert signal.starts_at == AT


@pytest.mark.parametrize("body", [b"[" + b"0," * 500_000 + b"0]", b"[" + b"," * 1_000_000 + b"]"])
def test_a_body_of_nothing_but_commas_is_refused_as_a_whole(body):
    with pytest.raises(NotJson, match="more than 50,000 members"):
        read_alerts(body, AT, "key")


def test_much_rubbish_is_put_aside_in_few_pieces_and_with_every_byte():
    members = [b"%d" % number for number in range(40_000)]
    good = b'{"labels": {"alertname": "A"}}'
    received = read_alerts(b"[" + b",".join([*members, good]) + b"]", AT, "key")
    assert [signal.title for signal in received.signals] == ["A"]
    assert len(received.rejected) == 101
    assert [rejected.raw for rejected in received.rejected[:100]] == members[:100]
    assert received.rejected[-1].raw.split(b",\n") == members[100:]
    assert received.rejected[-1].why.startswith("39,900 more members of the same request.")
