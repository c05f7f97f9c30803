"""Who sends, and when they last did."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tocsin.store import senders
from tocsin.store.database import Database
from tocsin.store.senders import Heard

pytestmark = pytest.mark.anyio


async def test_what_several_processes_heard_adds_up_and_the_latest_counts(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await senders.note(c, [Heard("eu", "prometheus", 10, 5.0), Heard("us", "report", 1, 60.0)])
    async with database.transaction() as c:
        # A process that is behind with its writing moves nothing back.
        await senders.note(c, [Heard("eu", "prometheus", 7, 3600.0)])
    async with database.reading() as c:
        found = await senders.find(c)
    now = await database.now()
    assert [(row.name, row.source, row.signals) for row in found] == [
        ("us", "report", 1),
        ("eu", "prometheus", 17),
    ]
    assert now - found[1].seen_at < timedelta(seconds=30)
    assert timedelta(seconds=55) < now - found[0].seen_at < timedelta(seconds=120)


async def test_nothing_heard_is_nothing_noted(database: Database) -> None:
    async with database.transaction() as c:
        await senders.note(c, [])
        assert await senders.find(c) == []
