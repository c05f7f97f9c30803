from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.store.samples import NASTY, NASTY_SHOWN, notice, page
from tocsin.core.surroundings import Contact
from tocsin.store import deliveries
from tocsin.store.connection import Connection
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio
PAGE = "INC-1/d1"


async def _jobs(c: Connection) -> int:
    return int(
        await c.fetchval("SELECT count(*) FROM tocsin_pgqueuer WHERE entrypoint = 'delivery'")
    )


async def test_asking_twice_for_one_delivery_asks_once(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [])
        await deliveries.add(c, "INC-1", [page(), notice()])
        await deliveries.add(c, "INC-1", [page()])
        assert await _jobs(c) == 2
        rows = await deliveries.find(c, incident="INC-1")
        assert [(r.id, r.kind, r.to, r.contact, r.state, r.attempts) for r in rows] == [
            ("INC-1/d2", "notice", "#incidents", "slack:#incidents", "pending", 0),
            (PAGE, "page", "Priya", "email:p@example.org", "pending", 0),
        ]
        assert await deliveries.find(c, incident="INC-2") == []
        assert len(await deliveries.find(c, limit=1)) == 1


async def test_one_courier_at_a_time(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page(contact=None)])

    async def lease() -> deliveries.Delivery | None:
        async with database.transaction() as c:
            return await deliveries.lease(c, PAGE, 30)

    leased = [d for d in await asyncio.gather(*(lease() for _ in range(6))) if d is not None]
    assert len(leased) == 1
    assert (leased[0].effect, leased[0].attempts) == (page(contact=None), 1)
    assert (leased[0].incident, leased[0].state) == ("INC-1", "pending")


async def test_a_courier_that_died_is_followed_by_another(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
    async with database.transaction() as c:
        assert await deliveries.stranded(c) == [PAGE]
        assert await deliveries.lease(c, PAGE, 0.2) is not None
    async with database.transaction() as c:
        assert await deliveries.stranded(c) == []
        assert await deliveries.lease(c, PAGE, 0.2) is None
    await asyncio.sleep(0.25)
    async with database.transaction() as c:
        assert await deliveries.stranded(c) == [PAGE]
        again = await deliveries.lease(c, PAGE, 0.2)
        assert again is not None
        assert again.attempts == 2


async def test_what_is_settled_stays_settled(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        await deliveries.settle(c, PAGE, "delivered", NASTY)
        await deliveries.settle(c, PAGE, "failed", "too late")
        await deliveries.retry(c, PAGE, 0, "too late")
        assert await deliveries.lease(c, PAGE, 30) is None
        assert await deliveries.stranded(c) == []
        (row,) = await deliveries.find(c)
        assert (row.state, row.detail) == ("delivered", NASTY_SHOWN)
        assert await _jobs(c) == 1


async def test_a_retry_waits_its_time_and_has_a_job_of_its_own(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        await deliveries.lease(c, PAGE, 30)
        await deliveries.retry(c, PAGE, 60, "status 503")
        assert await _jobs(c) == 2
        assert await deliveries.lease(c, PAGE, 30) is None
        assert await deliveries.stranded(c) == []
        wait = await c.fetchval("SELECT max(execute_after) - now() FROM tocsin_pgqueuer")
        assert wait == timedelta(seconds=60)
        (row,) = await deliveries.find(c)
        assert (row.state, row.detail, row.attempts) == ("pending", "status 503", 1)


async def test_an_address_that_postgres_cannot_hold_is_shown_and_kept(database: Database) -> None:
    asked = page(contact=Contact("email", NASTY))
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [asked])
        leased = await deliveries.lease(c, PAGE, 30)
        assert leased is not None
        assert leased.effect == asked
