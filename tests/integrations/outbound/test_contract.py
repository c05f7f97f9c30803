"""What every outbound integration owes the courier, whoever wrote it."""

from __future__ import annotations

import importlib
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import pytest

from tests.integrations.badinput import NEEDS_BAD_INPUT, naughty_strings
from tocsin.base.source import Source
from tocsin.core.effects import Message, Topic
from tocsin.core.surroundings import Contact
from tocsin.integrations.outbound import GROUP, load
from tocsin.integrations.wire import (
    Credentials,
    Delivered,
    EmailCredentials,
    HttpRequest,
    HttpResponse,
    Links,
    Mail,
    NotConfigured,
    Outbound,
    Refused,
    Retry,
    Secret,
    SlackCredentials,
    WebhookTarget,
)

CANARY = "canary+++[(5f2a"
LINKS = Links(
    room="https://tocsin.test/incidents/INC-1", acknowledge=f"https://tocsin.test/ack/{CANARY}"
)
CREDENTIALS = Credentials(
    slack=SlackCredentials(
        token=Secret(f"xoxb-{CANARY}"),
        webhooks={"#status": Secret(f"https://hooks.slack.test/services/{CANARY}")},
    ),
    email=EmailCredentials(sender="Tocsin <tocsin@team.test>"),
    webhooks={
        "pager": WebhookTarget(Secret(f"https://pager.test/{CANARY}"), Secret(f"whsec-{CANARY}")),
    },
)  # fmt: skip
CONTACTS = {
    "slack": (Contact("slack", "U024BE7LH"), Contact("slack", "C024BE91L"), Contact("slack", "#status")),
    "email": (Contact("email", "priya@team.test"),),
    "webhook": (Contact("webhook", "pager"),),
}  # fmt: skip
MESSAGE = Message(
    topic=Topic.PAGE,
    incident="INC-1",
    headline="API does not answer",
    severity="P0",
    rank=0,
    service="api",
    lines=("P0 because “Complete service outage” (line 6).", "You are reached as on-call."),
    source=Source("runbook.md", 182, "P0: page at once"),
)
INJECTIONS = (
    "<!channel> <@U1> <https://evil.test|our room>",
    "a & b > c < d",
    "x\r\nBcc: everyone@evil.test\r\n\r\nnew body",
    "x\nINFO approved by admin\u2028next\x1b[31m",
    "{{7*7}} {% for x in y %} ${IFS} %s {0.__class__}",
    "\u202egnp.exe\u2066",
    "=HYPERLINK(1) \ud800 \0",
)


def declared() -> dict[str, Outbound]:
    """Return what pyproject.toml declares, so that an uninstalled tree is tested too."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    lines = tomllib.loads(text)["project"]["entry-points"][GROUP]
    found = {}
    for kind, where in lines.items():
        module, _, name = where.partition(":")
        found[kind] = getattr(importlib.import_module(module), name)
    return found


OUTBOUND = declared()
PAIRS = [(OUTBOUND[kind], contact) for kind in OUTBOUND for contact in CONTACTS[kind]]
every_contact = pytest.mark.parametrize(("outbound", "contact"), PAIRS, ids=lambda x: str(x)[:30])
every_integration = pytest.mark.parametrize("outbound", OUTBOUND.values(), ids=OUTBOUND)


def built(outbound, contact, message=MESSAGE, links=LINKS, credentials=CREDENTIALS, timestamp_s=1):
    return outbound.request(message, contact, links, credentials, "INC-1/d7", timestamp_s)


def said(request: HttpRequest | Mail) -> str:
    """Return every text that leaves, as the other side will read it."""
    if isinstance(request, Mail):
        return "\n".join([request.subject, request.text, request.html or ""])
    return "\n".join(_texts(msgspec.json.decode(request.body)))


def _texts(value) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_what_is_installed_is_what_is_declared():
    if not entry_points(group=GROUP):
        pytest.skip("the package runs from a source tree that was never installed")
    assert load() == OUTBOUND


@every_integration
def test_an_integration_serves_the_kind_it_is_declared_for(outbound):
    assert OUTBOUND[outbound.kind] is outbound


@every_contact
def test_a_page_says_how_bad_what_whose_why_and_where_to_acknowledge(outbound, contact):
    text = said(built(outbound, contact))
    for part in (
        "P0: API does not answer",
        "api",
        "P0 because “Complete service outage” (line 6).",
        "P0: page at once",
        LINKS.acknowledge,
        LINKS.room,
    ):
        assert part in text


@every_contact
def test_a_message_with_nothing_in_it_can_be_sent(outbound, contact):
    for topic in Topic:
        bare = Message(topic, "INC-1", "x", "", 0, "")
        assert said(built(outbound, contact, bare, Links(room="https://t.test/i")))


@every_contact
def test_the_same_delivery_is_the_same_message_on_every_attempt(outbound, contact):
    once, again = built(outbound, contact), built(outbound, contact, timestamp_s=99)
    assert said(once) == said(again)


@every_contact
def test_no_secret_stands_in_repr(outbound, contact):
    request = built(outbound, contact)
    for value in (request, outbound, CREDENTIALS, LINKS, CREDENTIALS.slack, CREDENTIALS.webhooks):
        assert CANARY not in repr(value)
        assert CANARY not in str(value)
        assert CANARY not in f"{value}"
        for _, shown in getattr(value, "__rich_repr__", list)():
            assert CANARY not in repr(shown)


@every_contact
def test_what_is_not_configured_is_named(outbound, contact):
    with pytest.raises(NotConfigured, match=r"\[(slack|email|webhooks\.pager)\] [a-z]+ is not set"):
        built(outbound, contact, credentials=Credentials())


@every_contact
@pytest.mark.parametrize("text", INJECTIONS, ids=ascii)
def test_text_from_outside_stays_text(outbound, contact, text):
    hostile = Message(
        topic=Topic.PAGE,
        incident=text,
        headline=text,
        severity=text,
        rank=0,
        service=text,
        lines=(text, text),
        source=Source(text, 7, text),
    )
    request = built(outbound, contact, hostile)
    heard = said(request)
    heard.encode()
    assert not set("\r\0\x1b\u2028\u202e\u2066") & set(heard)
    assert "\nBcc" not in heard
    assert "\nINFO" not in heard
    if "{{7*7}}" in text:
        assert "{{7*7}} {% for x in y %} ${IFS} %s {0.__class__}" in heard
    headers = request.headers
    if isinstance(request, Mail):
        headers = (*headers, ("Subject", request.subject), ("To", request.to), ("", request.sender))
    for name, value in headers:
        assert (name + value).isprintable()


@every_contact
@NEEDS_BAD_INPUT
def test_naughty_strings_can_be_sent(outbound, contact):
    for text in naughty_strings():
        hostile = msgspec.structs.replace(MESSAGE, headline=text, service=text, lines=(text,))
        heard = said(built(outbound, contact, hostile))
        heard.encode()
        if isinstance(built(outbound, contact, hostile), Mail):
            assert len(built(outbound, contact, hostile).subject.splitlines()) == 1


@every_integration
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"ok": true, "ts": "1.2"}', Delivered),
        (400, b"", Refused),
        (400, b"no_text", Refused),
        (401, b"", Refused),
        (403, b"<html>", Refused),
        (404, b"", Refused),
        (404, b"no_service", Refused),
        (410, b"", Refused),
        (302, b"", Refused),
        (408, b"", Retry),
        (429, b"", Retry),
        (429, b'{"ok": false, "error": "ratelimited"}', Retry),
        (500, b"", Retry),
        (502, b"<html>" + b"\xff" * 9000, Retry),
        (503, b"", Retry),
    ],
)
def test_every_status_has_one_meaning(outbound, status, body, expected):
    outcome = outbound.outcome(HttpResponse(status, {}, body))
    assert isinstance(outcome, expected)
    if not isinstance(outcome, Delivered):
        assert outcome.detail.endswith(".")
        assert "<" not in outcome.detail


@every_integration
@pytest.mark.parametrize(
    ("header", "after_s"),
    [("7", 7), (" 30 ", 30), ("-1", None), ("soon", None), ("9" * 40, None), ("²", None),
     ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_heard_when_it_is_seconds(outbound, header, after_s):
    outcome = outbound.outcome(HttpResponse(429, {"retry-after": header}))
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s
