from __future__ import annotations

import msgspec
import pytest

from tests.integrations.outbound.test_contract import LINKS, MESSAGE, built
from tocsin.core.effects import Topic
from tocsin.core.surroundings import Contact
from tocsin.integrations.outbound.email import EMAIL
from tocsin.integrations.wire import Credentials, EmailCredentials, Links, NotConfigured

PERSON = Contact("email", "priya@team.test")


def test_a_page_reads_well_at_three_in_the_morning():
    mail = built(EMAIL, PERSON)
    assert mail.subject == "P0: API does not answer"
    assert mail.text == (
        f"Acknowledge: {LINKS.acknowledge}\n"
        "\n"
        "P0: API does not answer\n"
        "\n"
        "Service: api. Incident: INC-1.\n"
        "P0 because “Complete service outage” (line 6).\n"
        "You are reached as on-call.\n"
        "\n"
        "Runbook: “P0: page at once” runbook.md:182\n"
        "\n"
        "Incident room: https://tocsin.test/incidents/INC-1\n"
    )
    assert ("Importance", "high") in mail.headers


def test_a_notice_is_not_urgent_and_asks_for_nothing():
    resolved = msgspec.structs.replace(MESSAGE, topic=Topic.RESOLVED)
    mail = built(EMAIL, PERSON, resolved, Links(room=LINKS.room))
    assert mail.subject == "Resolved: API does not answer"
    assert "Acknowledge" not in mail.text
    assert "Importance" not in dict(mail.headers)


def test_the_mails_of_one_incident_gather_and_each_delivery_is_one_mail():
    first, again = built(EMAIL, PERSON), built(EMAIL, PERSON, timestamp_s=60)
    second = EMAIL.request(MESSAGE, PERSON, LINKS, CREDENTIALS, "INC-1/d8", 1)
    ids = [dict(mail.headers)["Message-ID"] for mail in (first, again, second)]
    assert ids[0] == ids[1] != ids[2]
    assert all(i.endswith("@team.test>") for i in ids)
    assert dict(first.headers)["References"] == dict(second.headers)["References"]


CREDENTIALS = Credentials(email=EmailCredentials(sender="tocsin@team.test"))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "priya",
        "a@b, c@d",
        "Priya <a@b>",
        "a@b\r\nBcc: c@d",
        "a@b\n",
        "a@b c@d",
        "a@b@c",
        '"a b"@c',
        "a;b@c",
        "@b",
    ],
)
def test_an_address_is_one_plain_address(address):
    with pytest.raises(NotConfigured, match="is no e-mail address"):
        built(EMAIL, Contact("email", address))


@pytest.mark.parametrize("sender", ["tocsin", "a@b\r\nBcc: c@d", "Tocsin <x>"])
def test_the_sender_is_an_address_too(sender):
    credentials = Credentials(email=EmailCredentials(sender=sender))
    with pytest.raises(NotConfigured, match=r"\[email\] from"):
        built(EMAIL, PERSON, credentials=credentials)
