"""What is too old goes, a little at a time; what is open, due or still fires never does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.engine.test_engine import engine_on
from tests.engine.test_rebuild import busy_story, verdicts
from tests.store import samples
from tocsin.core.inputs import IncidentDeclared, ReopenedByPerson, ResolvedByPerson
from tocsin.engine.rebuild import Verdict
from tocsin.engine.retention import Pruner, Retention, prune
from tocsin.engine.turn import incident_stream
from tocsin.store import (
    alerts,
    deliveries,
    inbox,
    incidents,
    journal,
    quarantine,
    silences,
    streams,
)

pytestmark = pytest.mark.anyio

KEPT = Retention()
DAY = timedelta(days=1)
OF_INCIDENT = (
    "SELECT count(*) FROM journal WHERE stream = 'incident/' || $1::text",
    "SELECT count(*) FROM streams WHERE stream = 'incident/' || $1::text",
    "SELECT count(*) FROM timers WHERE stream = 'incident/' || $1::text",
    "SELECT count(*) FROM inbox WHERE stream = 'incident/' || $1::text",
    "SELECT count(*) FROM incidents WHERE id = $1",
    "SELECT count(*) FROM incident_alerts WHERE incident = $1",
    "SELECT count(*) FROM deliveries WHERE incident = $1",
)


async def left_of(database, incident):
    async with database.reading() as c:
        return [await c.fetchval(query, incident) for query in OF_INCIDENT]


async def over_and_open(database):
    """Return an incident that is over and one that is open, both with a page."""
    engine = engine_on(database)
    over = await engine.declare("api", IncidentDeclared("It was down", "Ona", "P1"))
    await engine.act(over, ResolvedByPerson("Ona"))
    still = await engine.declare("web", IncidentDeclared("It is down", "Ona", "P1"))
    async with database.transaction() as c:
        await c.execute("UPDATE deliveries SET state = 'delivered'")
    return over, still


async def test_an_incident_that_is_over_for_long_goes_as_a_whole(database):
    over, still = await over_and_open(database)
    before = await left_of(database, still)
    async with database.reading() as c:
        now = await database.now(c)
    await prune(database, KEPT, now + KEPT.incidents - DAY)
    assert (await left_of(database, over))[0] > 0
    await prune(database, KEPT, now + KEPT.incidents + DAY)
    assert await left_of(database, over) == [0] * 7
    assert await left_of(database, still) == before


async def test_an_open_incident_stays_whole_however_old_it_is(database):
    _, still = await over_and_open(database)
    before = await left_of(database, still)
    async with database.reading() as c:
        now = await database.now(c)
    await prune(database, KEPT, now + 100 * KEPT.incidents)
    assert await left_of(database, still) == before
    assert (await verdicts(database))[incident_stream(still)] is Verdict.SAME


async def test_an_incident_that_is_about_to_be_reopened_stays(database):
    over, _ = await over_and_open(database)
    before = await left_of(database, over)
    async with database.transaction() as c:
        await inbox.append(c, [(incident_stream(over), ReopenedByPerson("Ona"))])
        now = await database.now(c)
    await Pruner(database, KEPT).prune(now + 2 * KEPT.incidents)
    assert (await left_of(database, over))[0] == before[0]


async def test_an_incident_in_the_hands_of_another_is_left_to_it_and_others_go(database):
    engine = engine_on(database)
    held, other = [
        await engine.declare(service, IncidentDeclared("It was down", "Ona", "P1"))
        for service in ("api", "web")
    ]
    for incident in (held, other):
        await engine.act(incident, ResolvedByPerson("Ona"))
    async with database.transaction() as c:
        await streams.claim(c, incident_stream(held))
        now = await database.now(c)
        await prune(database, KEPT, now + 2 * KEPT.incidents)
    assert (await left_of(database, held))[0] > 0
    assert await left_of(database, other) == [0] * 7


async def test_a_large_incident_goes_in_pieces(database):
    over, _ = await over_and_open(database)
    [events, *_] = await left_of(database, over)
    async with database.reading() as c:
        now = await database.now(c)
    pruner = Pruner(database, KEPT, rows_at_once=2, pieces_at_once=1)
    at = now + KEPT.incidents + DAY
    assert await pruner.prune(at)
    left = await left_of(database, over)
    assert left[0] == events - 2
    assert left[4] == 1, "the view stays until the rest is gone, so that it is found again"
    while await pruner.prune(at):
        pass
    assert await left_of(database, over) == [0] * 7


async def test_deliveries_may_go_before_their_incident(database):
    over, still = await over_and_open(database)
    sooner = Retention(deliveries=10 * DAY)
    async with database.reading() as c:
        now = await database.now(c)
    await prune(database, sooner, now + 11 * DAY)
    async with database.reading() as c:
        assert await deliveries.find(c, incident=over) == []
        assert await deliveries.find(c, incident=still)
        assert await incidents.get(c, over) is not None
        assert await journal.read(c, incident_stream(over))


async def test_a_desk_loses_its_oldest_events_and_goes_on(database):
    await busy_story(database, seed=7)
    async with database.transaction() as c:
        before = await streams.load(c, "desk/api")
        told = await journal.read(c, "desk/api")
    cut = told[len(told) // 2].at
    await prune(database, KEPT, cut + KEPT.desks)
    async with database.reading() as c:
        left = await journal.read(c, "desk/api")
        assert left == [event for event in told if event.at >= cut]
        assert await streams.load(c, "desk/api") == before
    await busy_story(database, seed=8)
    found = await verdicts(database)
    assert found["desk/api"] is Verdict.PRUNED
    assert all(v is Verdict.SAME for name, v in found.items() if name.startswith("incident/"))


async def test_alerts_that_ended_go_and_those_that_fire_stay(database):
    async with database.transaction() as c:
        ended, fires = samples.alert("f1", firing=False), samples.alert("f2")
        await alerts.put(c, "api", [ended, fires], samples.AT)
    await prune(database, KEPT, samples.AT + KEPT.alerts - DAY)
    async with database.reading() as c:
        assert len(await alerts.find(c)) == 2
    await prune(database, KEPT, samples.AT + 100 * KEPT.alerts)
    async with database.reading() as c:
        assert [row.record for row in await alerts.find(c)] == [fires]


async def test_silences_go_once_the_desks_have_seen_their_end(database):
    async with database.transaction() as c:
        await silences.put(c, samples.silence())
        at = samples.AT + 2 * KEPT.silences
        now = await database.now(c)
    await prune(database, KEPT, max(at, now))
    async with database.reading() as c:
        assert len(await silences.find(c)) == 1, "its alerts are not looked at again yet"
    async with database.transaction() as c:
        await silences.turned(c, at)
    await prune(database, KEPT, at)
    async with database.reading() as c:
        assert await silences.find(c) == []


async def test_what_was_put_aside_is_thrown_away(database):
    async with database.transaction() as c:
        await quarantine.add(c, [("prometheus", "ingest", b"x", "not JSON")])
        now = await database.now(c)
    await prune(database, KEPT, now)
    async with database.reading() as c:
        assert await quarantine.count(c) == 1
    await prune(database, KEPT, now + KEPT.quarantine + DAY)
    async with database.reading() as c:
        assert await quarantine.count(c) == 0


async def test_what_another_process_prunes_is_left_to_it(database):
    over, _ = await over_and_open(database)
    before = await left_of(database, over)
    async with database.transaction() as c:
        assert await streams.try_alone(c, "pruning")
        now = await database.now(c)
        assert not await Pruner(database, KEPT).prune(now + 2 * KEPT.incidents)
    assert await left_of(database, over) == before


async def test_the_engine_prunes_by_itself(database):
    async with database.transaction() as c:
        await alerts.put(c, "api", [samples.alert("f1", firing=False)], samples.AT)
    engine = engine_on(database)
    engine._pruned_at -= 3600
    async with asyncio.timeout(20):
        while True:
            await engine.audit()
            async with database.reading() as c:
                if not await alerts.find(c):
                    return


async def test_an_incident_stays_while_an_alert_of_it_fires(database):
    over, _ = await over_and_open(database)
    async with database.transaction() as c:
        now = await database.now(c)
        alert = replace(samples.alert("f1"), incident=over)
        await alerts.put(c, "api", [alert], now)
    await Pruner(database, KEPT).prune(now + 2 * KEPT.incidents)
    assert (await left_of(database, over))[0] > 0
    async with database.transaction() as c:
        await alerts.put(c, "api", [replace(alert, stale=True)], now)
    for _ in ("the alert", "its incident"):
        await prune(database, KEPT, now + 2 * KEPT.incidents)
    assert await left_of(database, over) == [0] * 7


async def test_test_messages_go(database):
    async with database.transaction() as c:
        await deliveries.add(c, "", [replace(samples.notice(), delivery="test/1")])
        await c.execute("UPDATE deliveries SET state = 'delivered'")
        now = await database.now(c)
    await prune(database, KEPT, now)
    async with database.reading() as c:
        assert len(await deliveries.find(c)) == 1
    await prune(database, KEPT, now + KEPT.deliveries + DAY)
    async with database.reading() as c:
        assert await deliveries.find(c) == []
