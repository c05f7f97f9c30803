"""How contacts did: noted where deliveries are settled, without making them queue."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tests.store import samples
from tocsin.store import contacts, deliveries
from tocsin.store.contacts import Noted
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
ONA = "email:ona@example.org"


async def _note(database: Database, *noted: Noted) -> None:
    async with database.transaction() as c:
        await contacts.note(c, noted)


async def _known(database: Database) -> dict[str, contacts.ContactRow]:
    async with database.reading() as c:
        return await contacts.known(c)


async def test_a_contact_that_was_never_used_is_not_there(database: Database) -> None:
    await _note(database)
    assert await _known(database) == {}


async def test_the_last_outcome_counts_and_the_other_stays_known(database: Database) -> None:
    await _note(database, Noted(ONA, True, "250 ok"), Noted("slack:U1", False, "no such person"))
    first = await _known(database)
    assert (first[ONA].delivered_at is not None, first[ONA].failed_at) == (True, None)
    assert first["slack:U1"].is_failing
    assert first["slack:U1"].detail == "no such person"

    await _note(database, Noted(ONA, False, "mailbox full \x00"))
    second = (await _known(database))[ONA]
    assert second.is_failing
    assert second.delivered_at == first[ONA].delivered_at
    assert second.detail == "mailbox full \ufffd"

    await _note(database, Noted(ONA, False, "first"), Noted(ONA, True, "second"))
    third = (await _known(database))[ONA]
    assert not third.is_failing
    assert third.failed_at == second.failed_at


async def test_the_same_again_within_seconds_writes_nothing(database: Database) -> None:
    await _note(database, Noted(ONA, True, "first"))
    before = await _known(database)
    await _note(database, Noted(ONA, True, "second"))
    assert await _known(database) == before


async def test_one_transaction_does_not_wait_for_another_that_notes_the_same(
    database: Database,
) -> None:
    await _note(database, Noted(ONA, True))
    async with database.transaction() as slow, asyncio.timeout(5):
        await contacts.note(slow, [Noted(ONA, False, "it is slow to commit")])
        await _note(database, Noted(ONA, False, "another"), Noted("slack:U2", True))
    known = await _known(database)
    assert known[ONA].detail == "it is slow to commit"
    assert set(known) == {ONA, "slack:U2"}


async def test_a_contact_gets_five_test_messages_in_ten_minutes(database: Database) -> None:
    async with database.transaction() as c:
        for number in range(5):
            assert await contacts.on_trial(c) == set()
            await deliveries.add(c, "", [replace(samples.notice(), delivery=f"test/{number}")])
            assert await contacts.on_trial(c) == {str(samples.notice().contact)}
            await c.execute("UPDATE deliveries SET state = 'delivered'")
        assert await contacts.on_trial(c) == {str(samples.notice().contact)}
        await c.execute("UPDATE deliveries SET created_at = now() - interval '11 min'")
        assert await contacts.on_trial(c) == set()
