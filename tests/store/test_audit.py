from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.samples import NASTY, NASTY_SHOWN
from tocsin.store import audit
from tocsin.store.audit import Entry
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio


async def test_what_is_about_to_be_done_has_no_status_until_it_ended(database: Database) -> None:
    entry = Entry("Ona", "user", "POST /x", "INC-1", "", "127.0.0.1")
    async with database.transaction() as c:
        number = await audit.begin(c, entry)
    async with database.reading() as c:
        [found] = await audit.find(c)
    assert (found.id, found.actor, found.target, found.status) == (number, "Ona", "INC-1", None)
    async with database.transaction() as c:
        await audit.finish(c, number, 200, "role viewer -> lead")
    async with database.reading() as c:
        [found] = await audit.find(c)
    assert (found.status, found.detail) == (200, "role viewer -> lead")


async def test_acts_are_found_newest_first_by_actor_and_time_and_paged(database: Database) -> None:
    now = await database.now()
    rows = [
        (now - timedelta(minutes=10 - n), Entry("Ona" if n % 2 else "ci", "user", f"a{n}"), 200)
        for n in range(6)
    ]
    async with database.transaction() as c:
        await audit.add(c, rows)
        await audit.add(c, [])
    async with database.reading() as c:
        assert [r.action for r in await audit.find(c)] == ["a5", "a4", "a3", "a2", "a1", "a0"]
        assert [r.action for r in await audit.find(c, actors=["ONA"])] == ["a5", "a3", "a1"]
        since = now - timedelta(minutes=6.5)
        assert [r.action for r in await audit.find(c, since=since)] == ["a5", "a4"]
        first = await audit.find(c, limit=4)
        rest = await audit.find(c, before=first[-1].id, limit=4)
        assert [r.action for r in rest] == ["a1", "a0"]


async def test_any_text_is_kept_and_none_without_end(database: Database) -> None:
    async with database.transaction() as c:
        await audit.begin(c, Entry(NASTY, "token", "x" * 100_000, NASTY))
        [found] = await audit.find(c)
    assert found.actor == found.target == NASTY_SHOWN
    assert len(found.action) == 500


async def test_old_acts_are_let_go_of(database: Database) -> None:
    now = await database.now()
    async with database.transaction() as c:
        await audit.add(
            c, [(now - timedelta(days=n), Entry("a", "user", "x"), 200) for n in range(9)]
        )
        assert await audit.prune(c, now - timedelta(days=4.5), limit=3) == 3
        assert await audit.prune(c, now - timedelta(days=4.5)) == 1
        assert len(await audit.find(c)) == 5


async def test_every_replica_says_what_it_has_and_one_is_kept(database: Database) -> None:
    async with database.transaction() as c:
        for revision in ("a", "a", "b", "b", "a"):
            await audit.note(c, "runbook in force", revision)
        await audit.note(c, "something else", "a")
        found = [(r.kind, r.target) for r in await audit.find(c) if r.action == "runbook in force"]
    assert found == [("server", "a"), ("server", "b"), ("server", "a")]
