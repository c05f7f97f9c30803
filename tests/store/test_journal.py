from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from tests.store.samples import AT, NASTY
from tocsin.core.events import NoteAdded
from tocsin.store import journal
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
STREAM = "incident/INC-1"


async def test_events_come_back_in_order_with_their_times(database: Database) -> None:
    written = [(NoteAdded("sam", f"note {i} {NASTY}"), AT + timedelta(seconds=i)) for i in range(5)]
    async with database.transaction() as c:
        await journal.append(c, STREAM, 1, written[:2], "r1")
        await journal.append(c, STREAM, 3, written[2:], "r2")
        await journal.append(c, STREAM, 6, [], "r2")
        await journal.append(c, "incident/INC-2", 1, written[:1], "r1")
    async with database.reading() as c:
        read = await journal.read(c, STREAM)
    assert [r.seq for r in read] == [1, 2, 3, 4, 5]
    assert [(r.event, r.at) for r in read] == written


async def test_a_number_that_is_taken_is_refused(database: Database) -> None:
    async with database.transaction() as c:
        await journal.append(c, STREAM, 1, [(NoteAdded("sam", "a"), AT)], "r1")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction() as c:
            await journal.append(c, STREAM, 1, [(NoteAdded("sam", "b"), AT)], "r1")


async def test_what_was_written_cannot_be_changed(database: Database) -> None:
    async with database.transaction() as c:
        await journal.append(c, STREAM, 1, [(NoteAdded("sam", "a"), AT)], "r1")
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        async with database.transaction() as c:
            await c.execute("UPDATE journal SET revision = 'r2'")
