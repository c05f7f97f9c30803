"""A process among the others: seen, given up, and back again under another id."""

from __future__ import annotations

import asyncio

import pytest

from tocsin.engine.presence import Presence
from tocsin.engine.system import SystemClock
from tocsin.engine.watchdog import Watchdog
from tocsin.store import processes
from tocsin.store.processes import ProcessRow
from tocsin.store.route import Use

pytestmark = pytest.mark.anyio


def presence_on(database, role="all", revision="r1"):
    return Presence(
        database,
        Watchdog(SystemClock()),
        role=role,
        version="1.0",
        step=7,
        revision=lambda: revision,
    )


async def shows(presence, database):
    async with database.direct.dedicated("test", Use.LOOP) as connection:
        await presence.show(connection)


async def alive(database):
    async with database.reading() as c:
        return await processes.alive(c)


async def test_a_process_enters_and_is_seen_and_leaves(database):
    presence = presence_on(database)
    entered = []
    presence.on_entry(entered.append)
    await shows(presence, database)
    [row] = await alive(database)
    assert (row.id, row.role, row.step, row.revision) == (presence.process, "all", 7, "r1")
    assert entered == [row.id]
    await shows(presence, database)
    assert entered == [row.id]
    await presence.leave()
    assert await alive(database) == []


async def test_whoever_was_given_up_enters_anew_under_another_id(database):
    presence = presence_on(database)
    entered = []
    presence.on_entry(entered.append)
    await shows(presence, database)
    async with database.transaction() as c:
        await processes.leave(c, presence.process)
    await shows(presence, database)
    assert len(entered) == 2
    assert entered[1] > entered[0]
    assert [row.id for row in await alive(database)] == [entered[1]]


async def test_what_is_in_hand_is_renewed_at_every_sign_of_life(database):
    presence = presence_on(database)
    renewed = []

    async def renew(connection):
        renewed.append(presence.process)

    presence.renews(renew)
    await shows(presence, database)
    await shows(presence, database)
    assert renewed == [presence.process] * 2


async def test_it_shows_life_by_itself_while_the_pool_is_in_use_to_the_last_connection(database):
    presence = presence_on(database)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(database.connections.most):
            group.create_task(_hold(database, stop))
        group.create_task(presence.run(stop))
        async with asyncio.timeout(10):
            while presence.process is None:
                await asyncio.sleep(0.02)
        stop.set()
    [row] = await alive(database)
    assert row.id == presence.process


async def _hold(database, stop):
    async with database.reading():
        await stop.wait()


def company(*roles, revisions=()):
    at = SystemClock().now()
    revisions = revisions or ("r1",) * len(roles)
    return [
        ProcessRow(n, role, "1.0", 7, revision, at, at)
        for n, (role, revision) in enumerate(zip(roles, revisions, strict=True), 1)
    ]


def faults(presence):
    return {beat.name for beat in presence._watchdog.state() if beat.detail}


@pytest.mark.parametrize(
    ("roles", "fault"),
    [
        (("web", "web"), "the workers"),
        (("worker",), "the front door"),
        (("web", "worker"), None),
        (("all",), None),
    ],
)
def test_it_is_said_when_a_part_of_tocsin_is_missing_for_long(roles, fault):
    presence = presence_on(None)
    presence.judge(company(*roles), at=100.0)
    assert faults(presence) == set()
    presence.judge(company(*roles), at=131.0)
    assert faults(presence) == ({fault} if fault else set())
    presence.judge(company("all"), at=132.0)
    assert faults(presence) == set()


def test_replicas_that_go_on_under_different_runbooks_are_named():
    presence = presence_on(None)
    different = company("all", "all", revisions=("r1", "r2"))
    presence.judge(different, at=100.0)
    presence.judge(different, at=219.0)
    assert faults(presence) == set()
    presence.judge(different, at=221.0)
    assert faults(presence) == {"the runbooks"}
