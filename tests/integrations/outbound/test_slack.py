from __future__ import annotations

import json
import uuid

import msgspec
import pytest

from tests.integrations.outbound.test_contract import CREDENTIALS, LINKS, MESSAGE, built
from tocsin.core.effects import Topic
from tocsin.core.surroundings import Contact
from tocsin.integrations.outbound.slack import SLACK
from tocsin.integrations.wire import (
    Credentials,
    Delivered,
    HttpResponse,
    Links,
    NotConfigured,
    Refused,
    Retry,
    Secret,
    SlackCredentials,
)

PERSON = Contact("slack", "U024BE7LH")


def payload(contact=PERSON, message=MESSAGE, links=LINKS):
    return json.loads(built(SLACK, contact, message, links).body)


def answer(body, status=200):
    return SLACK.outcome(HttpResponse(status, {}, json.dumps(body).encode()))


def test_a_page_to_a_person_goes_through_the_bot():
    request = built(SLACK, PERSON)
    assert (request.method, request.url) == ("POST", "https://slack.com/api/chat.postMessage")
    assert ("Authorization", f"Bearer {CREDENTIALS.slack.token.reveal()}") in request.headers
    sent = payload()
    assert sent["channel"] == "U024BE7LH"
    assert sent["metadata"]["event_payload"] == {"delivery": "INC-1/d7"}
    assert sent["client_msg_id"] == str(uuid.UUID(sent["client_msg_id"]))
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)


def test_a_channel_with_a_webhook_goes_there_without_the_token():
    request = built(SLACK, Contact("slack", "#status"))
    assert request.url == CREDENTIALS.slack.webhooks["#status"].reveal()
    assert "Authorization" not in dict(request.headers)
    assert "channel" not in payload(Contact("slack", "#status"))


def test_a_webhook_that_is_not_set_is_not_replaced_by_the_token():
    slack = SlackCredentials(Secret("xoxb-1"), webhooks={"#status": Secret("")})
    with pytest.raises(NotConfigured, match=r"#status in \[slack.channels\] is not set"):
        built(SLACK, Contact("slack", "#status"), credentials=Credentials(slack=slack))


def test_the_first_thing_on_a_page_is_the_acknowledgement():
    first = payload()["blocks"][0]["text"]["text"]
    assert first == f"<{LINKS.acknowledge}|Acknowledge>\n*P0: API does not answer*"
    assert payload()["text"].startswith("P0: API does not answer. Service: api.")


def test_a_notice_has_nothing_to_acknowledge():
    opened = msgspec.structs.replace(MESSAGE, topic=Topic.OPENED)
    sent = payload(message=opened, links=Links(room=LINKS.room))
    assert sent["blocks"][0]["text"]["text"] == "*P0 opened: API does not answer*"
    assert "Acknowledge" not in str(sent)


def test_slack_sees_no_mention_and_no_link_of_others():
    hostile = msgspec.structs.replace(
        MESSAGE, headline="<!channel> & <https://evil.test|x>", lines=("<@U1>",)
    )
    sent = payload(message=hostile)
    assert "&lt;!channel&gt; &amp; &lt;https://evil.test|x&gt;" in sent["text"]
    assert "&lt;@U1&gt;" in sent["blocks"][1]["text"]["text"]
    for text in (sent["text"], *(block["text"]["text"] for block in sent["blocks"])):
        assert "<!" not in text
        assert "<@" not in text
        assert "<https://evil" not in text
    assert all(block["text"]["verbatim"] for block in sent["blocks"])


def test_a_link_cannot_break_out_of_its_brackets():
    sent = payload(links=Links(room="https://t.test/?a=1&b=<x>|y"))
    assert "<https://t.test/?a=1&amp;b=%3Cx%3E%7Cy|Open the incident room>" in str(sent)


@pytest.mark.parametrize(
    "error", ["ratelimited", "internal_error", "service_unavailable", "fatal_error"]
)
def test_slack_in_trouble_is_tried_again(error):
    assert isinstance(answer({"ok": False, "error": error}), Retry)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("channel_not_found", "no channel or person"),
        ("invalid_auth", "[slack] token"),
        ("not_in_channel", "Invite it"),
        ("account_inactive", "switched off"),
        ("something_new", "something_new"),
        ("<b>odd</b>", "Slack refuses the message."),
        (None, "Slack refuses the message."),
    ],
)
def test_slack_that_says_no_is_believed(error, words):
    outcome = answer({"ok": False, "error": error})
    assert isinstance(outcome, Refused)
    assert words in outcome.detail


def test_a_taken_message_has_a_reference():
    assert answer({"ok": True, "ts": "1503435956.000247"}) == Delivered("1503435956.000247")
    assert SLACK.outcome(HttpResponse(200, {}, b"ok")) == Delivered()


@pytest.mark.parametrize("body", [b"", b"<html>log in</html>", b"[]", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_not_slacks_is_no_delivery(body):
    assert isinstance(SLACK.outcome(HttpResponse(200, {}, body)), Retry)


def test_a_removed_webhook_says_which_setting_to_mend():
    outcome = SLACK.outcome(HttpResponse(404, {}, b"no_service"))
    assert isinstance(outcome, Refused)
    assert "[slack.channels]" in outcome.detail
    outcome = SLACK.outcome(HttpResponse(500, {}, b"rollup_error"))
    assert isinstance(outcome, Retry)
