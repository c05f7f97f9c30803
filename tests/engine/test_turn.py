"""One turn: what it writes is the fold of what it judged, however its alerts were kept before."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from tests.core.world import signal
from tests.engine.test_engine import APP_ONLY, CLOCK, TUNING, batch, book, engine_on, now_signal
from tocsin.core.evolve import fold
from tocsin.core.inputs import Acknowledged, AlertTold, SilencesChanged
from tocsin.core.state import AlertCounts, IncidentState
from tocsin.engine.turn import Turns, incident_stream
from tocsin.store import codec, inbox, incident_alerts, incidents, journal, streams

pytestmark = pytest.mark.anyio


def turns_on(database):
    return Turns(database, book(), APP_ONLY, TUNING)


async def decide_all(database, *names):
    turns, told = turns_on(database), list(names)
    for name in told:
        outcome = await turns.run(name, wait=True)
        told += outcome.woke


async def tell(database, incident, *told):
    async with database.transaction() as c:
        await inbox.append(c, [(incident_stream(incident), item) for item in told])
    await decide_all(database, incident_stream(incident))


def told(name, **options):
    given = {"firing": True, "revision": "r1", **options}
    return AlertTold(replace(signal(name), starts_at=CLOCK.now()), "backend", **given)


async def test_a_state_holds_no_alerts_and_counts_them_all(database):
    signals = [now_signal(f"A{n}", severity="P1") for n in range(30)]
    await engine_on(database).receive(batch(*signals))
    await decide_all(database, "desk/backend")
    async with database.reading() as c:
        claimed = await streams.load(c, "incident/INC-1")
        recorded = await journal.read(c, "incident/INC-1")
        rows = await incident_alerts.find(c, "INC-1")
        view = await incidents.get(c, "INC-1")
    state = codec.decode(claimed.state, IncidentState)
    assert state.alerts == {}
    assert state.alert_counts == AlertCounts(total=30, firing=30, signals=30)
    assert view == state
    whole = fold((r.at, r.event) for r in recorded)
    assert whole.alerts == rows
    assert replace(whole, alerts={}) == state


async def test_an_alert_of_an_earlier_turn_is_known_in_the_next(database):
    await tell(database, "INC-1", told("A", opens=True), told("B"))
    await tell(database, "INC-1", told("A", firing=False))
    await tell(database, "INC-1", told("A"), told("B", muted_by="s1"))
    async with database.reading() as c:
        rows = await incident_alerts.find(c, "INC-1")
        state = await incidents.get(c, "INC-1")
        assert await incident_alerts.muting(c, "INC-1") == {"s1"}
    assert {name: row.signals for name, row in rows.items()} == {"fp-A": 2, "fp-B": 1}
    assert state.alert_counts == AlertCounts(total=2, firing=2, muted=1, signals=3)


async def make_old(database, incident):
    """Rewrite an incident as it was kept when states held their alerts."""
    async with database.transaction() as c:
        alerts = await incident_alerts.find(c, incident)
        state = replace(await incidents.get(c, incident), alerts=alerts)
        form = json.loads(codec.encode(state))
        del form["alert_counts"]
        old = json.dumps(form).encode()
        claimed = await streams.claim(c, incident_stream(incident), wait=True)
        await streams.save(c, incident_stream(incident), claimed.seq, old)
        await c.execute("UPDATE incidents SET state = $2 WHERE id = $1", incident, old)
        await c.execute("DELETE FROM incident_alerts WHERE incident = $1", incident)
    return alerts


async def test_the_alerts_of_an_old_state_become_rows_on_its_first_turn(database):
    await tell(database, "INC-1", told("A", opens=True), told("B"), told("C", muted_by="s1"))
    await tell(database, "INC-1", told("B", firing=False))
    alerts = await make_old(database, "INC-1")
    assert len(alerts) == 3
    await tell(database, "INC-1", Acknowledged("Ona", "app"))
    async with database.reading() as c:
        assert await c.fetchval("SELECT count(*) FROM incident_alerts") == 3
        assert await incident_alerts.find(c, "INC-1") == alerts
        state = await incidents.get(c, "INC-1")
        assert state.alerts == {}
        assert state.alert_counts == AlertCounts(total=3, firing=2, muted=1, signals=3)


async def test_an_old_state_goes_on_where_it_was(database):
    await tell(database, "INC-1", told("A", opens=True), told("B"))
    await make_old(database, "INC-1")
    await tell(database, "INC-1", told("A", firing=False), told("B", firing=False))
    async with database.reading() as c:
        state = await incidents.get(c, "INC-1")
        recorded = await journal.read(c, "incident/INC-1")
        whole = fold((r.at, r.event) for r in recorded)
        assert whole.alerts == await incident_alerts.find(c, "INC-1")
    assert state.phase == "monitoring"
    assert replace(whole, alerts={}) == state


async def test_a_turn_of_an_old_state_that_decides_nothing_is_no_half_of_a_move(database):
    await tell(database, "INC-1", told("A", opens=True))
    alerts = await make_old(database, "INC-1")
    await tell(database, "INC-1", told("A"))  # the same again is no news
    async with database.reading() as c:
        assert await incident_alerts.find(c, "INC-1") == alerts
        assert (await incidents.get(c, "INC-1")).alert_counts.total == 1


async def test_a_turn_looks_at_so_many_alerts_and_leaves_the_others_to_the_next(database):
    names = [f"fp-{n}" for n in range(1_200)]
    told = [SilencesChanged(tuple(names[n : n + 100])) for n in range(0, len(names), 100)]
    told.insert(3, SilencesChanged(tuple(names)))
    async with database.transaction() as c:
        await inbox.append(c, [("desk/backend", item) for item in told])
    decided = []
    while (outcome := await turns_on(database).run("desk/backend")).decided:
        decided.append(outcome.decided)
    # The fourth is too large for any turn, so it has one of its own.
    assert decided == [3, 1, 5, 4]
