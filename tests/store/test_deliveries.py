from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.store.samples import NASTY, NASTY_SHOWN, left_behind, notice, page
from tocsin.core.surroundings import Contact
from tocsin.store import deliveries, processes
from tocsin.store.connection import Connection
from tocsin.store.database import Database
from tocsin.store.deliveries import Again, Delivery, Settled

pytestmark = pytest.mark.anyio
PAGE = "INC-1/d1"


async def _jobs(c: Connection) -> int:
    return int(
        await c.fetchval("SELECT count(*) FROM tocsin_pgqueuer WHERE entrypoint = 'delivery'")
    )


async def _lease(
    c: Connection, by: int | None = None, lease_s: float = 30, **options: object
) -> list[Delivery]:
    given = {"free": {}, "free_elsewhere": 100, **options}
    return await deliveries.lease(c, by, lease_s, **given)  # type: ignore[arg-type]


def _pages(count: int, contact: Contact | None, start: int = 1) -> list:
    return [page(n, contact) for n in range(start, start + count)]


async def test_asking_twice_for_one_delivery_asks_once(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [])
        await deliveries.add(c, "INC-1", [page(), notice()])
        await deliveries.add(c, "INC-1", [page()])
        assert await _jobs(c) == 1
        rows = await deliveries.find(c, incident="INC-1")
        assert [(r.id, r.kind, r.to, r.contact, r.state, r.attempts) for r in rows] == [
            ("INC-1/d2", "notice", "#incidents", "slack:#incidents", "pending", 0),
            (PAGE, "page", "Priya", "email:p@example.org", "pending", 0),
        ]
        assert await deliveries.find(c, incident="INC-2") == []
        assert len(await deliveries.find(c, limit=1)) == 1


async def test_one_courier_at_a_time(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(20, None))

    async def lease() -> list[Delivery]:
        async with database.transaction() as c:
            return await _lease(c)

    leased = [d for found in await asyncio.gather(*(lease() for _ in range(6))) for d in found]
    assert len({d.id for d in leased}) == len(leased) == 20
    first = next(d for d in leased if d.id == PAGE)
    assert (first.effect, first.attempts) == (page(contact=None), 1)
    assert (first.incident, first.lane) == ("INC-1", "")


async def test_every_channel_is_a_lane_of_its_own(database: Database) -> None:
    contacts = [
        Contact("webhook", "a"), Contact("webhook", "b"), Contact("slack", "U1"),
        Contact("slack", "U2"), Contact("email", "x:y@example.org"),
    ]  # fmt: skip
    asked = [page(n, contact) for n, contact in enumerate(contacts)]
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", asked)
        lanes = [d.lane for d in sorted(await _lease(c), key=lambda d: d.id)]
        assert lanes == ["webhook:a", "webhook:b", "slack", "slack", "email"]


async def test_a_full_channel_leaves_room_for_the_others(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(50, Contact("webhook", "dead")))
        await deliveries.add(c, "INC-1", _pages(3, Contact("webhook", "quick"), start=51))
    async with database.transaction() as c:
        found = await _lease(c, free={"webhook:dead": 0}, free_elsewhere=2)
        assert [d.lane for d in found] == ["webhook:quick"] * 2
        found = await _lease(c, free={"webhook:dead": 5}, free_elsewhere=2)
        assert [d.lane for d in found].count("webhook:dead") == 5


async def test_pages_go_before_notices_and_the_longest_due_first(database: Database) -> None:
    slack = Contact("slack", "U1")
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [notice(9), *_pages(3, slack)])
        await c.execute(
            "UPDATE deliveries SET due_at = now() - interval '1 min' WHERE id = 'INC-1/d3'"
        )
        one = [(await _lease(c, free_elsewhere=1))[0].id for _ in range(4)]
    assert one == ["INC-1/d3", "INC-1/d1", "INC-1/d2", "INC-1/d9"]


async def test_a_courier_that_died_is_followed_by_another(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
    async with database.transaction() as c:
        assert await left_behind(c) == [PAGE]
        assert len(await _lease(c, lease_s=0.2)) == 1
    async with database.transaction() as c:
        assert await left_behind(c) == []
        assert await _lease(c) == []
    await asyncio.sleep(0.25)
    async with database.transaction() as c:
        assert await left_behind(c) == [PAGE]
        [again] = await _lease(c)
        assert again.attempts == 2


async def test_a_process_that_shows_no_life_holds_nothing_whatever_its_lease_says(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        frozen = await processes.enter(c, "all", "1", 1)
        other = await processes.enter(c, "all", "1", 1)
        [held] = await _lease(c, by=frozen, lease_s=600)
        assert await _lease(c, by=other) == []
        await c.execute(
            "UPDATE processes SET seen_at = now() - interval '9 s' WHERE id = $1", frozen
        )
        assert await left_behind(c) == [held.id]
        [taken] = await _lease(c, by=other)
        assert (taken.id, taken.attempts) == (held.id, 2)


async def test_what_is_in_our_own_hands_is_not_taken_again(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(2, None))
        await _lease(c, lease_s=0)
        found = await _lease(c, held=[PAGE])
        assert [d.id for d in found] == ["INC-1/d2"]


async def test_a_lease_is_kept_by_renewing_and_only_by_its_holder(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(3, None))
        held = [(d.id, d.attempts) for d in await _lease(c, lease_s=0.1)]
    await asyncio.sleep(0.15)
    async with database.transaction() as c:
        assert await deliveries.renew(c, None, 30, held[1:]) == {"INC-1/d2", "INC-1/d3"}
        [taken] = await _lease(c)
        assert taken.id == PAGE
        assert await deliveries.renew(c, None, 30, held) == {"INC-1/d2", "INC-1/d3"}
        assert await deliveries.renew(c, None, 30, []) == set()


async def test_what_is_settled_stays_settled(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        await _lease(c)
        assert await deliveries.settle(c, [Settled(PAGE, 1, True, NASTY)]) == {PAGE}
        assert await deliveries.settle(c, [Settled(PAGE, 1, False, "too late")]) == set()
        assert await deliveries.retry(c, [Again(PAGE, 1, 0, "too late")]) == set()
        await deliveries.release(c, [(PAGE, 1, True)])
        assert await _lease(c) == []
        assert await left_behind(c) == []
        (row,) = await deliveries.find(c)
        assert (row.state, row.detail) == ("delivered", NASTY_SHOWN)
        assert await _jobs(c) == 1


async def test_whoever_was_overtaken_can_change_nothing(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        [old] = await _lease(c, lease_s=0)
        [new] = await _lease(c)
        assert (old.attempts, new.attempts) == (1, 2)
        assert await deliveries.renew(c, None, 600, [(PAGE, 1)]) == set()
        assert await deliveries.settle(c, [Settled(PAGE, 1, True, "late")]) == set()
        assert await deliveries.retry(c, [Again(PAGE, 1, 0, "late")]) == set()
        await deliveries.release(c, [(PAGE, 1, True)])
        assert await _lease(c) == []
        assert await deliveries.settle(c, [Settled(PAGE, 2, True, "ours")]) == {PAGE}


async def test_a_retry_waits_its_time_and_has_a_job_of_its_own(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(3, None))
        await _lease(c)
        again = [
            Again(f"INC-1/d{n}", 1, after_s, "503") for n, after_s in ((1, 60), (2, 60), (3, 8))
        ]
        assert await deliveries.retry(c, again) == {"INC-1/d1", "INC-1/d2", "INC-1/d3"}
        waits = await c.fetch("SELECT execute_after - now() AS w FROM tocsin_pgqueuer ORDER BY 1")
        assert [row["w"] for row in waits] == [timedelta(seconds=s) for s in (0, 8, 60)]
        assert await _lease(c) == []
        assert await left_behind(c) == []
        row = (await deliveries.find(c))[-1]
        assert (row.state, row.detail, row.attempts) == ("pending", "503", 1)


async def test_what_is_released_is_due_at_once_and_somebody_is_woken(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        await _lease(c)
        await deliveries.release(c, [(PAGE, 1, True)])
        assert await _jobs(c) == 2
        [again] = await _lease(c)
        assert again.attempts == 2


async def test_a_delivery_that_cannot_be_read_keeps_no_other_from_going_out(
    database: Database,
) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", _pages(2, None))
        await c.execute("UPDATE deliveries SET effect = 'no' WHERE id = $1", PAGE)
        found = {d.id: d.effect for d in await _lease(c)}
        assert found == {PAGE: None, "INC-1/d2": page(2, None)}


async def test_an_address_that_postgres_cannot_hold_is_shown_and_kept(database: Database) -> None:
    asked = page(contact=Contact("email", NASTY))
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [asked])
        [leased] = await _lease(c)
        assert leased.effect == asked


async def test_an_attempt_that_was_not_begun_does_not_count(database: Database) -> None:
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", [page()])
        for begun, attempts in ((False, 1), (False, 1), (True, 1), (False, 2), (False, 2)):
            [found] = await _lease(c)
            assert found.attempts == attempts
            await deliveries.release(c, [(PAGE, attempts, begun)])
