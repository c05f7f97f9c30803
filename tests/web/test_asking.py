"""A token is looked up once, for all who ask at the same time."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.site import Site
from tocsin.store.access import Grant
from tocsin.store.database import Unavailable
from tocsin.web.door import door_of
from tocsin.web.remembered import Asking

pytestmark = pytest.mark.anyio
TOKEN = b"t" * 32


class Database:
    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.fault: Exception | None = None

    async def ask(self) -> Grant | None:
        self.asked += 1
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return None


async def test_all_who_ask_at_once_get_one_answer() -> None:
    asking, database = Asking(), Database()
    waiting = [asyncio.ensure_future(asking.once(0, TOKEN, database.ask)) for _ in range(50)]
    await asyncio.sleep(0)
    database.gate.set()
    assert await asyncio.gather(*waiting) == [None] * 50
    assert database.asked == 1
    await asking.once(0, TOKEN, database.ask)
    assert database.asked == 2


async def test_a_database_that_is_away_is_said_to_all_of_them() -> None:
    asking, database = Asking(), Database()
    database.fault = Unavailable("It is away.")
    waiting = [asyncio.ensure_future(asking.once(0, TOKEN, database.ask)) for _ in range(5)]
    await asyncio.sleep(0)
    database.gate.set()
    said = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in said] == ["It is away."] * 5
    assert database.asked == 1


async def test_who_is_cancelled_takes_nobody_along() -> None:
    asking, database = Asking(), Database()
    waiting = [asyncio.ensure_future(asking.once(0, TOKEN, database.ask)) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    database.gate.set()
    said = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(error, asyncio.CancelledError) for error in said] == [
        True,
        False,
        True,
        False,
    ]
    assert database.asked == 2


async def test_a_hundred_requests_with_a_new_key_ask_the_database_once(site: Site) -> None:
    asking = door_of(site.app).asking
    asked = 0
    once = asking.once

    async def counted(generation: int, digest: bytes, ask: object) -> Grant | None:
        async def really() -> Grant | None:
            nonlocal asked
            asked += 1
            return await ask()  # type: ignore[operator]

        return await once(generation, digest, really)

    asking.once = counted  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(site.ask("POST", "/api/v2/alerts", "ingest", content=b"[]"))
    assert asked == 1
