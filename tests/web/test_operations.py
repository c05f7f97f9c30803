"""The doctor and the contacts by the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.site import Site
from tocsin.core.effects import SendNotice, Topic
from tocsin.core.surroundings import Contact, Directory, Person
from tocsin.store import codec, contacts
from tocsin.store.contacts import Noted

pytestmark = pytest.mark.anyio

PAGER, MAIL, TEAM = (
    Contact("webhook", "pager"),
    Contact("email", "ona@example.org"),
    Contact("email", "team@example.org"),
)
DIRECTORY = Directory(
    people={
        "ona": Person("ona", "Ona Vale", (PAGER, MAIL)),
        "tomas": Person("tomas", "Tomas Reed", (PAGER,)),
    },
    audiences={"team": (TEAM,)},
    unconnected={str(MAIL): "there is no [email] section"},
)


@pytest.fixture
def peopled(site: Site) -> Site:
    """A site in whose settings people have contacts."""
    object.__setattr__(site.context, "directory", DIRECTORY)
    return site


async def asked(site: Site, of: str = "", code: int = 202, name: str = "responder") -> Any:
    answer = await site.ask("POST", "/api/v1/contacts/tests", name, json={"of": of})
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_contacts_are_listed_once_with_whose_they_are(peopled: Site) -> None:
    async with peopled.context.database.transaction() as c:
        await contacts.note(c, [Noted(str(PAGER), True), Noted(str(TEAM), False, "550 no")])
    answer = (await peopled.ask("GET", "/api/v1/contacts", "reader")).json()["contacts"]
    assert [(c["contact"], c["whose"], c["state"]) for c in answer] == [
        ("webhook:pager", ["Ona Vale", "Tomas Reed"], "delivered"),
        ("email:ona@example.org", ["Ona Vale"], "untested"),
        ("email:team@example.org", ["audience team"], "failing"),
    ]
    assert answer[0]["delivered_at"]
    assert answer[1]["missing"] == "there is no [email] section"
    assert answer[2]["detail"] == "550 no"


async def test_a_test_is_a_delivery_of_no_incident_that_says_it_is_a_test(peopled: Site) -> None:
    [test] = (await asked(peopled, "webhook:pager"))["tests"]
    assert (test["contact"], test["state"], test["attempts"]) == ("webhook:pager", "pending", 0)
    async with peopled.context.database.reading() as c:
        row = await c.fetchrow("SELECT id, incident, effect FROM deliveries")
    assert row is not None
    assert (row["id"], row["incident"]) == (f"test/{test['id']}", "")
    effect = codec.decode(row["effect"], SendNotice)
    assert effect.message.topic is Topic.TEST
    assert effect.message.headline == "Test message from Tocsin. Nothing is wrong"
    assert effect.message.lines[0].startswith("responder asked for it")

    found = await peopled.ask("GET", f"/api/v1/contacts/tests/{test['id']}", "reader")
    assert found.json()["tests"] == [test]
    # Not twice at once: whoever waits for the first need not bother the person again.
    refused = await asked(peopled, "webhook:pager", 409)
    assert "on its way already" in refused["error"]["message"]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("", ["webhook:pager", "email:ona@example.org"]),
        ("ona", ["webhook:pager", "email:ona@example.org"]),
        ("TOMAS REED", ["webhook:pager"]),
        ("email:team@example.org", ["email:team@example.org"]),
        ("team", ["email:team@example.org"]),
    ],
)
async def test_a_test_goes_to_a_person_a_contact_or_everybody_who_is_paged(
    peopled: Site, of: str, expected: list[str]
) -> None:
    assert [test["contact"] for test in (await asked(peopled, of))["tests"]] == expected


async def test_what_the_settings_do_not_know_is_not_written_to(site: Site, peopled: Site) -> None:
    said = await asked(peopled, "email:stranger@example.org", 404)
    assert "webhook:pager" in said["error"]["hint"]
    assert (await site.ask("GET", "/api/v1/contacts/tests/none")).status_code == 404
    assert (await site.ask("GET", "/api/v1/contacts/tests/%00")).status_code == 404
    object.__setattr__(site.context, "directory", Directory())
    assert (
        "Nobody in the settings has a contact." in (await asked(site, "", 404))["error"]["message"]
    )


async def test_only_who_may_respond_may_try_a_contact(peopled: Site) -> None:
    await asked(peopled, "", 403, "reader")
    await asked(peopled, "", 403, "ingest")
    async with peopled.context.database.reading() as c:
        assert await c.fetchval("SELECT count(*) FROM deliveries") == 0


async def test_the_doctor_says_what_is_and_what_to_do(peopled: Site) -> None:
    assert (await peopled.ask("GET", "/api/v1/doctor", "responder")).status_code == 403
    answer = (await peopled.ask("GET", "/api/v1/doctor")).json()
    assert answer["verdict"] == "problem"
    assert answer["database_at"]
    checks = {(c["about"], c["verdict"]): c for c in answer["checks"]}
    assert "leads nowhere: there is no [email] section." in checks["contacts", "problem"]["says"]
    assert checks["database", "ok"]["says"].startswith("PostgreSQL 18")
    assert checks["escalations", "ok"]["remedy"] == ""


async def test_without_a_database_the_doctor_still_answers_who_was_here(peopled: Site) -> None:
    assert (await peopled.ask("GET", "/api/v1/doctor")).status_code == 200
    await peopled.context.database.close()
    answer = (await peopled.ask("GET", "/api/v1/doctor")).json()
    [check] = answer["checks"]
    assert (check["about"], check["verdict"]) == ("database", "problem")
    assert check["says"].startswith("The database does not answer")
    assert answer["database_at"] is None
