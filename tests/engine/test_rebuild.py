"""What is stored is the fold of the journal; where it is not, it can be made so again."""

from __future__ import annotations

import random
import re
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.core.world import signal
from tests.engine.test_engine import APP_ONLY, CLOCK, TUNING, book
from tocsin.core import inputs as inp
from tocsin.core.phases import Phase
from tocsin.engine.rebuild import Verdict, rebuild
from tocsin.engine.turn import Turns, desk_stream, incident_stream
from tocsin.store import alerts, inbox, incident_alerts, incidents, journal, streams, timers

pytestmark = pytest.mark.anyio

SERVICES = ("api", "web", "db")
STORED = (
    "SELECT stream, seq, encode(state, 'escape') FROM streams ORDER BY 1",
    "SELECT id, title, service, severity, rank, phase, is_open, opened_at, encode(state, 'escape')"
    " FROM incidents ORDER BY 1",
    "SELECT incident, fingerprint, firing, muted_by, encode(record, 'escape')"
    " FROM incident_alerts ORDER BY incident, number",
    "SELECT fingerprint, service, incident, firing, stale, encode(record, 'escape') FROM alerts"
    " ORDER BY 1",
    "SELECT stream, name, due_at FROM timers ORDER BY 1, 2",
)


async def stored(database):
    async with database.reading() as c:
        return [[tuple(row) for row in await c.fetch(query)] for query in STORED]


def as_the_journal_tells(tables):
    """Leave out what no event tells: when an alert ends that fires, and alerts that ended."""
    *others, fires, timers_of_all = tables
    told = [(*row[:-1], re.sub(r'"ends_at":"[^"]*"', "", row[-1])) for row in fires if row[3]]
    return [*others, told, timers_of_all]


async def looked_at(database, *, check=False):
    return {each.stream: each async for each in rebuild(database, check=check)}


async def verdicts(database, *, check=False):
    return {name: each.verdict for name, each in (await looked_at(database, check=check)).items()}


async def decide_all(database, turns):
    while True:
        async with database.reading() as c:
            waiting = [queue.stream for queue in await inbox.waiting_streams(c)]
        if not waiting:
            return
        for name in waiting:
            await turns.run(name, wait=True)


async def busy_story(database, seed, rounds=40):
    """Let alerts come, repeat, end, go stale and be silenced while people act, a turn each."""
    chance = random.Random(seed)  # noqa: S311 - a story, the same for the same seed
    current = book()
    await current.remember(database, CLOCK.now())
    turns = Turns(database, current, APP_ONLY, TUNING)
    for _ in range(rounds):
        async with database.transaction() as c:
            now = await database.now(c)
            open_now = [s.id for s in await incidents.find(c)]
            told = [_anything(chance, now, open_now) for _ in range(chance.randint(1, 12))]
            await inbox.append(c, told)
        await decide_all(database, turns)


def _anything(chance, now, incidents_there):
    service = chance.choice(SERVICES)
    name = f"A{chance.randrange(9)}"
    ends = chance.choice([None, now + timedelta(hours=1), now - timedelta(minutes=1)])
    severity = chance.choice(["P0", "P1", "P2", "P3"])
    fires = replace(
        signal(name, service=service, fingerprint=f"{service}/{name}", severity=severity),
        starts_at=now - timedelta(minutes=2),
        ends_at=ends,
    )
    desk = (
        inp.SignalReceived(fires),
        inp.SignalReceived(fires),
        inp.AlertLapsed(fires.fingerprint, now - timedelta(minutes=9)),
        inp.IncidentDeclared("All is lost", "Ona", "P1"),
    )
    people = (
        inp.Acknowledged("Ona", "app"),
        inp.NoteWritten("Ona", "nul \x00 and half \ud800"),
        inp.SeverityChosen("Ona", severity, "so it is"),
        inp.PhaseMoved("Ona", chance.choice(list(Phase))),
        inp.ResolvedByPerson("Ona"),
        inp.ReopenedByPerson("Ona"),
        inp.AlertTold(fires, service, firing=True, muted_by=chance.choice([None, "s1"])),
        inp.AlertTold(fires, service, firing=True, stale=True),
    )
    if incidents_there and chance.random() < 0.4:
        return incident_stream(chance.choice(incidents_there)), chance.choice(people)
    return desk_stream(service), chance.choice(desk)


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_busy_story_everything_stored_is_the_fold_of_the_journal(database, seed):
    await busy_story(database, seed)
    before = await stored(database)
    found = await looked_at(database)
    assert len(found) > 4
    assert {name: each for name, each in found.items() if each.verdict is not Verdict.SAME} == {}
    assert sum(each.events for each in found.values()) > 100
    assert await stored(database) == before


DAMAGE = {
    "states are lost": ("UPDATE streams SET state = NULL, seq = 0", None),
    "streams are lost": ("DELETE FROM streams", None),
    "a state is not readable": ("UPDATE streams SET state = '{'", None),
    "views are lost": ("DELETE FROM incidents", "incident/"),
    "a view says something else": ("UPDATE incidents SET is_open = NOT is_open", "incident/"),
    "alerts of incidents are lost": ("DELETE FROM incident_alerts", "incident/"),
    "alerts of incidents are damaged": (
        "UPDATE incident_alerts SET firing = NOT firing",
        "incident/",
    ),
    "alerts that fire are lost": ("DELETE FROM alerts WHERE firing", "desk/"),
    "alerts are damaged": ("UPDATE alerts SET record = 'x'", "desk/"),
    "alerts stand where none belong": (
        "INSERT INTO alerts (fingerprint, service, firing, stale, record, updated_at)"
        " SELECT 'none/' || service, service, true, false, record, now()"
        " FROM (SELECT DISTINCT ON (service) * FROM alerts) AS a",
        "desk/",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damaged_views_are_found_and_made_as_they_were(database, damage):
    await busy_story(database, seed=7)
    before = await stored(database)
    statement, concerned = DAMAGE[damage]
    async with database.transaction() as c:
        await c.execute(statement)
    damaged = await stored(database)
    only_looked = await verdicts(database, check=True)
    assert await stored(database) == damaged
    differing = {name for name, verdict in only_looked.items() if verdict is Verdict.DIFFERS}
    assert differing
    assert concerned is None or all(name.startswith(concerned) for name in differing)
    rebuilt = await looked_at(database)
    assert {n for n, each in rebuilt.items() if each.verdict is Verdict.DIFFERS} == differing
    assert all(each.what for name, each in rebuilt.items() if name in differing)
    assert as_the_journal_tells(await stored(database)) == as_the_journal_tells(before)
    assert set((await verdicts(database)).values()) == {Verdict.SAME}


async def test_timers_of_an_incident_come_back_with_its_state(database):
    await busy_story(database, seed=3)
    before = await stored(database)
    assert before[-1], "the story leaves somebody to page"
    async with database.transaction() as c:
        await c.execute("DELETE FROM timers")
        await c.execute("UPDATE streams SET state = NULL WHERE stream LIKE 'incident/%'")
    await looked_at(database)
    assert await stored(database) == before


async def test_a_rebuilt_incident_goes_on(database):
    await busy_story(database, seed=7)
    async with database.transaction() as c:
        for table in ("incidents", "incident_alerts", "alerts", "timers", "streams"):
            await c.execute(f"DELETE FROM {table}")  # noqa: S608
    await looked_at(database)
    await busy_story(database, seed=8)
    assert set((await verdicts(database, check=True)).values()) == {Verdict.SAME}


async def test_a_stream_whose_events_were_pruned_stays_as_it_is_and_is_named(database):
    await busy_story(database, seed=7)
    async with database.transaction() as c:
        await c.execute("DELETE FROM journal WHERE stream = 'desk/api' AND seq <= 3")
        await c.execute("UPDATE streams SET state = '{}' WHERE stream = 'desk/api'")
    before = await stored(database)
    found = (await looked_at(database))["desk/api"]
    assert found.verdict is Verdict.PRUNED
    assert found.what[0].startswith("3 of its ")
    assert await stored(database) == before


async def test_a_journal_that_cannot_be_read_stops_nobody_else(database):
    await busy_story(database, seed=7)
    async with database.transaction() as c:
        await c.execute("ALTER TABLE journal DISABLE TRIGGER journal_is_append_only")
        await c.execute("UPDATE journal SET body = '{' WHERE stream = 'desk/api' AND seq = 2")
        await c.execute("DELETE FROM incidents")
    found = await verdicts(database)
    assert found["desk/api"] is Verdict.UNREADABLE
    assert all(v is Verdict.DIFFERS for name, v in found.items() if name.startswith("incident/"))


async def test_an_alert_that_was_lost_and_still_fires_gets_time_to_be_sent_again(database):
    turns = Turns(database, book(), APP_ONLY, TUNING)
    ended = replace(signal(), starts_at=CLOCK.now(), ends_at=CLOCK.now() + timedelta(seconds=1))
    async with database.transaction() as c:
        await inbox.append(c, [("desk/backend", inp.SignalReceived(ended, CLOCK.now()))])
    await decide_all(database, turns)
    async with database.transaction() as c:
        await c.execute("DELETE FROM alerts")
    await looked_at(database)
    async with database.reading() as c:
        now = await database.now(c)
        [row] = await alerts.find(c)
        assert row.record.firing
        assert abs(row.record.signal.ends_at - now) < timedelta(minutes=1)


async def test_the_parts_of_the_store_name_what_they_hold(database):
    await busy_story(database, seed=7, rounds=10)
    async with database.reading() as c:
        names = await journal.names(c)
        assert names == sorted(names)
        assert await journal.names(c, after=names[0], limit=1) == names[1:2]
        extent = await journal.extent(c, "desk/api")
        claimed = await streams.load(c, "desk/api")
        assert extent.is_whole(claimed.seq)
        assert not extent.is_whole(claimed.seq + 1)
        assert (await journal.extent(c, "desk/none")).is_whole(0)
        pages = [page async for page in journal.pages(c, "desk/api", 2)]
        assert [r for page in pages for r in page] == await journal.read(c, "desk/api")
        assert await incident_alerts.all_of(c, "INC-none") == {}
        assert await timers.of(c, "desk/api") == {}
