from __future__ import annotations

import asyncio

import pytest

from tests.store.samples import NASTY, NASTY_SHOWN
from tocsin.store import live
from tocsin.store.database import Database
from tocsin.store.live import Listener
from tocsin.store.route import Route

pytestmark = pytest.mark.anyio


async def _next(listener: Listener, within_s: float = 5) -> str:
    async with asyncio.timeout(within_s):
        return await anext(listener)


async def test_what_is_announced_is_heard_once_it_is_committed(database: Database) -> None:
    async with Listener(database.direct) as listener:
        async with database.transaction() as c:
            await live.announce(c, "board")
            await live.announce(c, NASTY)
            with pytest.raises(TimeoutError):
                await _next(listener, 0.1)
        assert await _next(listener) == "board"
        assert await _next(listener) == NASTY_SHOWN


async def test_what_is_rolled_back_is_not_heard(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as c:
            await live.announce(c, "lost")
            raise ZeroDivisionError

    async with Listener(database.direct) as listener:
        with pytest.raises(ZeroDivisionError):
            await fail()
        async with database.transaction() as c:
            await live.announce(c, "kept")
        assert await _next(listener) == "kept"


async def test_a_very_long_topic_is_cut_not_refused(database: Database) -> None:
    async with Listener(database.direct) as listener:
        async with database.transaction() as c:
            await live.announce(c, "\U0001f514" * 20_000)
        assert set(await _next(listener)) == {"\U0001f514"}


async def test_after_a_lost_connection_anything_may_have_changed(database: Database) -> None:
    async with Listener(database.direct) as listener:
        async with database.transaction() as c:
            await c.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'tocsin live' AND datname = current_database()"
            )
        assert await _next(listener) == ""
        async with database.transaction() as c:
            await live.announce(c, "board")
        assert await _next(listener) == "board"


async def test_a_slow_reader_is_told_that_anything_may_have_changed(database: Database) -> None:
    async with Listener(database.direct) as listener:
        async with database.transaction() as c:
            for number in range(1_200):
                await live.announce(c, f"incident/INC-{number}")
        await asyncio.sleep(0.5)
        heard = [await _next(listener)]
        assert heard == [""]


async def test_nobody_there_yet_is_no_error(database: Database) -> None:
    url = database.url.replace("@/", "@/gone_")
    async with Listener(Route(url)) as listener:
        with pytest.raises(TimeoutError):
            await _next(listener, 1)
